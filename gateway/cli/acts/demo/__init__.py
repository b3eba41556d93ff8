"""`limen demo`: five states as real processes here (`--fast`: three), every step narrated and checked.

Panama, Honduras, Guatemala and Mexico exchange; Utopia, a state some travellers fled from, is a member too and lists
some of them. All persons are invented. The exit code is 0 only if every step came out as said; `report.html` is built
from the run.
"""

from gateway.cli.acts.demo.story import run

__all__ = ["run"]
