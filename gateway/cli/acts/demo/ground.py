"""What has to be there before anything is asked: nodes, their start, their lists."""

from __future__ import annotations

from gateway.cli.acts.demo.run import SETTLE_S, Run
from gateway.cli.acts.nodes import must
from gateway.cli.report.picture import Crossing
from gateway.terms import ListId, Role


def found(run: Run) -> None:
    """Make, start, load. What follows needs all of it."""
    nodes = run.nodes

    def make() -> tuple[str, bool]:
        nodes.make()
        for state in nodes.nodes:
            nodes.enrol(state, "centre-1", (Role.TARGETING_CENTRE,))
        return f"{run.many} nodes, one signed list of members, agreements between all, their officers", True

    def start() -> tuple[str, bool]:
        nodes.start()
        processes = sum(len(node.pids()) - 1 for node in nodes.nodes.values())
        return f"{processes} processes: key process, writer and gateway for each state", True

    def load() -> tuple[str, bool]:
        data = nodes.root / "data"
        run.region.write(data)
        counts = []
        for state in nodes.nodes:
            added = 0
            for list_id, name in ((ListId.PERSONS, "persons.csv"), (ListId.DOCUMENTS, "documents.csv")):
                added += nodes.load(state, list_id, data / state / name).json["added"]
            counts.append(f"{state} {added}")
        nodes.wait_tables(within_s=SETTLE_S)
        for state in nodes.nodes:
            nodes.login(state)
        made = must("--json", "peer", "copies", "--config", str(nodes["HND"].folder)).json
        held = [row for row in made if row["way"] == "in" and row["peer"] == "PAN" and row["list"] == "PERSONS"]
        entries = int(held[0]["entries"].split()[0])
        run.crossing = Crossing("HND", "PAN", 8, 0, 0, entries)
        return f"entries: {', '.join(counts)}; each peer got a table of its own, padded to {entries}", True

    run.step(
        f"{run.many.capitalize()} states make their nodes",
        "Each makes its own anchor, keys and rules. Nobody in the middle holds anything.",
        "limen init --state PAN ...; limen federation make, sign, accept; limen policy build, activate; "
        "limen officer enrol",
        f"{run.many} nodes that name each other in a list all of them signed",
        make,
    )
    if run.steps[-1].ok:
        run.step(
            "The nodes start",
            "Keys, log and network live in processes of their own.",
            "limen serve --config PAN",
            "ready",
            start,
        )
    if run.steps[-1].ok:
        run.step(
            "Each state loads its lists",
            "Two officers sign each file. A peer gets an encrypted table made for it alone, entry by entry.",
            "limen watchlist sign ...; limen watchlist load ...",
            "every peer holds a table",
            load,
        )
