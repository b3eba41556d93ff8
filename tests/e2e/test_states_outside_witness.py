"""A node whose tlog-policy asks for a witness outside the federation: it is asked over HTTPS and counts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from gateway.audit import note
from gateway.cli.acts.nodes import Nodes
from gateway.federation import names
from gateway.keyring.files import read_public
from tests.support.outside import NAME, Outsider, served_beside
from tests.support.receivers import make_pki
from tests.support.states import running

STATES = {"PAN": "SNM", "HND": "INM"}


def test_a_node_asks_the_outsider_that_its_policy_names(tmp_path: Path) -> None:
    pki = make_pki(tmp_path)
    with ExitStack() as stack:
        outsiders: list[Outsider] = []

        def say(nodes: Nodes) -> None:
            log = note.Verifier(names.log_origin(nodes["PAN"].settings.state), note.LOG_KEY,
                                read_public(nodes["PAN"].settings.paths.keys).log)  # fmt: skip
            peer = note.Verifier(names.witness_name(nodes["HND"].settings.state), note.WITNESS_KEY,
                                 read_public(nodes["HND"].settings.paths.keys).witness)  # fmt: skip
            outsider = Outsider(log)
            outsiders.append(outsider)
            port = stack.enter_context(served_beside(outsider, pki))
            policy = tmp_path / "witnesses.txt"
            policy.write_text(
                f"log {log.vkey}\nwitness HND {peer.vkey}\n"
                f"witness university {outsider.key.vkey} https://127.0.0.1:{port}/\n"
                "group enough all HND university\nquorum enough\n"
            )
            with (nodes["PAN"].folder / "limen.toml").open("a") as file:
                file.write(f'\n[witnesses]\npolicy = "{policy}"\nca = "{pki}/ca.pem"\n')

        with running(STATES, entries=20, before_start=say) as states:
            (outsider,) = outsiders

            def both() -> bool:
                with states.reading("PAN") as reader:
                    return any(
                        {name for name, _ in lines} == {NAME, "limen/HND/witness"} for _, lines in reader.cosigned(20)
                    )

            states.until(both, "HND and the outsider have cosigned one checkpoint of PAN's")
            with states.reading("PAN") as reader:
                seen = reader.witnessed_size(NAME)
            assert outsider.seen is not None and 0 < seen <= outsider.seen.size
            assert states.leaves("PAN", kind="witness.disputed") == []

            # It begins to lie: its lines are not kept any more, and the log says whose they were.
            outsider.mood = "lying"
            states.until(lambda: bool(states.leaves("PAN", kind="witness.disputed")), "the lie is in the log")
            assert states.leaves("PAN", kind="witness.disputed")[0].public["witness"] == NAME
