"""Bring the register of officers and the list of members into the log: what is not there does not count.

Both are files that people sign away from the node. The walk is docs/flows/enrol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway import ports
from gateway.audit import note
from gateway.audit.entry import Entry, Phase
from gateway.audit.witness import Seen
from gateway.errors import VerificationFailed
from gateway.federation import document, officers
from gateway.federation.document import Document, SignedDocument
from gateway.federation.officers import Act, Line, Register
from gateway.terms.ids import OfficerId
from gateway.terms.realm import Realm


async def log_register(register: Register, held: Mapping[OfficerId, bytes], uow: ports.UnitOfWork) -> tuple[Line, ...]:
    """Enter every act of the register that the log lacks, all in one commit. Returns those acts.

    `held` is the last line the store holds of each officer. Run at each start and after each enrolment.

    Raises:
        VerificationFailed: the store holds an act that the register lacks: its tail was cut. Nothing was entered.
        AuditUnavailable: nothing was entered.
    """
    lines = officers.unlogged(register, held)
    if not lines:
        return ()
    entries: list[Entry] = []
    changes: list[ports.Change] = []
    for line in lines:
        person = line.person
        entries.append(
            Entry(
                f"officer.{line.act.value}",
                Phase.EVENT,
                public={
                    "agency": str(person.agency),
                    "roles": ",".join(role.value for role in person.roles),
                    "key_thumbprint": person.thumbprint,
                },
                secret={"officer": str(person.officer), "by": "register"},
                retention="10y",
            )
        )
        changes.append(ports.Change("officer.put", {"officer": str(person.officer), "body": line.raw}))
        if line.act is Act.RETIRED:
            changes.append(ports.Change("officer.retire", {"officer": str(person.officer), "at_ns": line.at_ns}))
    await uow.commit(entries, changes)
    return lines


async def adopt(
    signed: SignedDocument,
    held: tuple[int, bytes] | None,
    now_ns: int,
    uow: ports.UnitOfWork,
    realm: Realm = Realm.LIVE,
    *,
    seen: Callable[[str], Seen | None] = lambda _: None,
) -> Document:
    """Put a list of members in force, in the log and in the store, and return it.

    Where it names another log for a member, the log says so, with the last head of the former one that we cosigned
    (`seen`, by origin): nothing else ties the two together.

    `held` is the version and file the store has in force; `realm` is this node's own. The same list again changes
    nothing, even where it has gathered more signatures since.

    Raises:
        VerificationFailed: as `document.verify`; an older list than the one in force is step `version`, one of
            the other realm step `realm`.
        AuditUnavailable: nothing changed.
    """
    document.require_realm(signed.document.realm, realm)
    before = document.parse(held[1]) if held is not None else None
    if before is not None and before.text == signed.text:
        if before.document.expires_ns <= now_ns:
            raise VerificationFailed("expiry", "the federation document has expired")
        return before.document
    adopted = document.verify(signed, before.document if before is not None else None, now_ns)
    entry = Entry(
        "federation.adopted",
        Phase.EVENT,
        public={
            "version": adopted.version,
            "digest": signed.digest,
            "members": ",".join(member.state for member in adopted.members),
            "expires_ns": adopted.expires_ns,
            "signers": ",".join(document.signed_by(signed, adopted)),
        },
    )
    change = ports.Change("federation.put", {"version": adopted.version, "body": document.render(signed)})
    replaced = _replaced(before.document, adopted, seen) if before is not None else []
    await uow.commit([entry, *replaced], [change])
    return adopted


def _replaced(before: Document, after: Document, seen: Callable[[str], Seen | None]) -> list[Entry]:
    """An entry for each member whose log has another origin than before."""
    former = {member.state: note.Verifier.parse(member.log_vkey).name for member in before.members}
    entries = []
    for member in after.members:
        origin = note.Verifier.parse(member.log_vkey).name
        was = former.get(member.state, origin)
        if was == origin:
            continue
        head = seen(was)
        entries.append(
            Entry(
                "log.replaced",
                Phase.EVENT,
                member.state,
                public={
                    "former": was,
                    "origin": origin,
                    "version": after.version,
                    "size": head.size if head is not None else 0,
                    "root": head.root if head is not None else b"",
                },
            )
        )
    return entries
