"""A traveller who needs protection from the state he fled, as each party sees it."""

from __future__ import annotations

from gateway.cli.acts.demo.run import Run
from gateway.cli.report.record import Learned


def protected(run: Run) -> None:
    """The guarded question from every side."""

    def act() -> tuple[str, bool]:
        ran, got, ok = run.ask("protected")
        _, miss, _ = run.ask("miss")
        same = {key: value for key, value in got.items() if key != "request_id"} == {
            key: value for key, value in miss.items() if key != "request_id"
        }
        return f"{got.get('outcome')} (exit {ran.code}); the answer of a miss, word for word: {same}", ok and same

    run.step(
        "A protected traveller on Utopia's list",
        run.region.traveller("protected").story,
        run.command("protected"),
        "the officer sees what a miss shows",
        act,
        (Learned("officer in HND", "nothing to report"), Learned("UTO", "an ordinary question about nobody")),
        between=("HND", "UTO"),
    )

    def vantage() -> tuple[str, bool]:
        seen = [row for row in run.entries("UTO", "check.answer") if row["peer"] == "HND"]
        pairs = [row for row in seen if row["phase"] == "intent" and row["public"]["purpose"] == "SEC.WATCH"]
        guarded, ordinary = pairs[-2], pairs[-1]
        shape = [
            (
                sorted(row["public"]),
                {
                    name: len(str(value))
                    for name, value in row["public"].items()
                    if name not in {"peer_seq", "intent_seq"}
                },
                row["sealed"],
            )
            for row in (guarded, ordinary)
        ]
        same = shape[0] == shape[1]
        return (
            f"entry {guarded['seq']} (guarded) and entry {ordinary['seq']} (a miss): same fields and sizes: {same}",
            same,
        )

    run.step(
        "What Utopia sees",
        "Its log of the guarded question beside its log of an ordinary miss.",
        "limen audit show UTO/audit-export --kind check.answer",
        "no difference",
        vantage,
    )

    def home() -> tuple[str, bool]:
        opened = run.entries("HND", "check.ask", reader="auditor")
        others = len(run.nodes.nodes) - 1
        # The last two questions: the protected traveller's, then the ordinary one it is compared with.
        guards = [
            (row["peer"], row["opened"]["guarded"]) for row in opened if row["phase"] == "intent" and "opened" in row
        ][-2 * others :]
        sealed = run.entries("HND", "check.ask")
        hidden = all("guarded" not in row["public"] and "opened" not in row for row in sealed)
        ok = {peer for peer, guarded in guards[:others] if guarded} == {"UTO"} and hidden
        return (
            f"with the auditor's key: {', '.join(f'{peer} guarded={value}' for peer, value in guards[:others])}",
            ok,
        )

    run.step(
        "What the home auditor sees",
        "The truth stands in the home log, sealed to keys that are off the node.",
        "limen audit show HND/audit-export --kind check.ask --reader-key auditor.key",
        "the leg to Utopia was guarded",
        home,
        (Learned("home auditor of HND", "that the leg to UTO was a cover leg, and why"),),
    )
