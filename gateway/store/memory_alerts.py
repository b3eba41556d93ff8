"""Alerts in the memory store: the same change and reads as `store.alerts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gateway.alerts.alert import Alert, Rule
from gateway.errors import VersionMoved
from gateway.store.alerts import KEPT_NS, Args, alert_of
from gateway.terms.ids import OfficerId


class Tables(Protocol):
    """What is kept. Rows are never changed in place."""

    alerts: dict[bytes, Alert]
    cases: dict[bytes, Args]


class MemoryAlerts:
    """The part of `MemoryStore` that is about alerts."""

    @property
    def _alerted(self) -> Tables:
        """The tables as they now stand."""
        raise NotImplementedError

    def _alert_put(self, a: Args) -> None:
        alert = alert_of(a)
        held = self._alerted.alerts.get(alert.alert_id)
        if alert.version != (1 if held is None else held.version + 1):
            raise VersionMoved("the alert went on meanwhile")
        if held is None and self.open_alert(alert.rule, alert.officers) is not None:
            raise VersionMoved("such an alert is open")
        if held is None:
            old = [one for one in self.alerts() if not one.is_open() and one.closed_ns < alert.raised_ns - KEPT_NS]
            for one in old:
                del self._alerted.alerts[one.alert_id]
        self._alerted.alerts[alert.alert_id] = alert

    def alert(self, alert_id: bytes) -> Alert | None:
        return self._alerted.alerts.get(alert_id)

    def alerts(self, only_open: bool = False) -> list[Alert]:
        found = [alert for alert in self._alerted.alerts.values() if alert.is_open() or not only_open]
        return sorted(found, key=lambda alert: (-alert.raised_ns, alert.alert_id))

    def open_alert(self, rule: Rule, officers: tuple[OfficerId, ...]) -> Alert | None:
        held = (alert for alert in self.alerts(only_open=True) if (alert.rule, alert.officers) == (rule, officers))
        return next(held, None)

    def alert_seq(self, rules: tuple[Rule, ...]) -> int:
        return max((alert.seq for alert in self.alerts() if alert.rule in rules), default=-1)

    def open_alerts(self) -> dict[Rule, int]:
        return dict(Counter(alert.rule for alert in self.alerts(only_open=True)))

    def case_page(self, after: bytes, most: int) -> list[tuple[bytes, bytes]]:
        numbers = sorted(number for number in self._alerted.cases if number > after)[:most]
        return [(number, bytes(self._alerted.cases[number]["body"])) for number in numbers]


APPLY: Final[Mapping[str, Callable[[Any, Args], None]]] = {"alert.put": MemoryAlerts._alert_put}
