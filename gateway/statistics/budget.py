"""The arithmetic of the ledger: whole micro-rho, no floats, nothing that depends on the data.

One account is one (data set, unit of privacy, period). Peers can pool what they learn, so the account's loss is that of
the union; a peer's share is a limit inside it. What is charged stays charged, whether or not an answer was made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.statistics.noise import epsilon_for


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Whose privacy is spent: a data set's units in a period."""

    dataset: str
    unit: str
    period: str


@dataclass(frozen=True, slots=True)
class Account:
    """`cap` and `spent` in micro-rho."""

    key: AccountKey
    cap: int
    spent: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.spent <= self.cap:
            raise ValueError("0 <= spent <= cap")

    @property
    def left(self) -> int:
        """Micro-rho that may still be charged."""
        return self.cap - self.spent

    @property
    def epsilon_micro(self) -> int:
        """Everything spent so far as micro-epsilon at `noise.DELTA`."""
        return epsilon_for(self.spent)


@dataclass(frozen=True, slots=True)
class Share:
    """What one peer may cause to be spent in an account, micro-rho."""

    peer: str
    cap: int
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Charged:
    """The account and the share after the charge."""

    account: Account
    share: Share | None
    cost: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing was charged. `of` is `account` or `share`; `left` micro-rho remain in it."""

    of: str
    cost: int
    left: int


def charge(account: Account, cost: int, share: Share | None = None) -> Charged | Exhausted:
    """Take `cost` micro-rho from the account, and from the peer's share where one is given.

    Raises:
        ValueError: a cost that is not positive.
    """
    if cost <= 0:
        raise ValueError("every release costs something")
    if share is not None and share.cap - share.spent < cost:
        return Exhausted("share", cost, max(0, share.cap - share.spent))
    if account.left < cost:
        return Exhausted("account", cost, account.left)
    spent = replace(share, spent=share.spent + cost) if share is not None else None
    return Charged(replace(account, spent=account.spent + cost), spent, cost)
