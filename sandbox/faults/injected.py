"""Which fault strikes a call: the first one that matches, in the order of their making. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from sandbox.faults.kinds import FAULTS, FaultParams, StruckCall
from sandbox.serving.answers import ApiAnswer
from sandbox.serving.sending import Reply

#: Every call of Klarna's. Those of the shop's side are struck only when they are named.
ANY = "any"
RECEIVER = "receiver"
PLUGIN = "plugin"
SHOP_SIDE = (RECEIVER, PLUGIN)


@dataclass(slots=True)
class InjectedFault:
    """A fault that waits for calls. `times` None means until it is deleted."""

    fault_id: str
    name: str
    operation: str = ANY
    order_id: str | None = None
    times: int | None = None
    probability: float = 1
    params: FaultParams = field(default_factory=FaultParams)
    struck: int = 0

    def matches(self, operation: str, order_id: str | None) -> bool:
        """Whether it may strike such a call; a spent fault never does."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.operation == ANY and operation in SHOP_SIDE:
            return False
        if self.operation not in (ANY, operation) or FAULTS[self.name].only not in (
            None,
            operation,
        ):
            return False
        return self.order_id in (None, order_id)

    @property
    def runs(self) -> bool:
        """Whether the call takes effect although it is struck."""
        return FAULTS[self.name].runs or self.params.effect

    def reply(self, call: StruckCall, answer: ApiAnswer) -> Reply:
        """Make what the client gets, of the answer it would have got."""
        return FAULTS[self.name].reply(self.params, call, answer)

    def view(self) -> dict[str, object]:
        """Show it as the control side does, with the parameters it takes."""
        takes = FAULTS[self.name].params
        params = {name: value for name, value in asdict(self.params).items() if name in takes}
        shown: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return shown | {"fault": shown.pop("name"), "params": params}


class Faults:
    """The faults in force. Its caller holds the lock."""

    def __init__(self) -> None:
        self._faults: dict[str, InjectedFault] = {}
        self._made = 0

    def __iter__(self) -> Iterator[InjectedFault]:
        return iter(self._faults.values())

    def add(self, make: Callable[[str], InjectedFault]) -> InjectedFault:
        """Put a fault in force, behind the others; `make` is given its id."""
        self._made += 1
        fault = make(f"fault-{self._made}")
        self._faults[fault.fault_id] = fault
        return fault

    def remove(self, fault_id: str) -> bool:
        """Lift one fault; False when there is none of that id."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> int:
        """Lift all; gives how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def strike(
        self, operation: str, order_id: str | None, chance: Callable[[], float]
    ) -> InjectedFault | None:
        """Give the first fault that strikes, and count it; `chance` gives numbers from 0 to 1.

        One that matches but is spared by its probability lets the next one have its turn.
        """
        for fault in self._faults.values():
            if fault.matches(operation, order_id) and chance() < fault.probability:
                fault.struck += 1
                return fault
        return None
