"""Work that nobody should wait for: compiling the mechanistic models while the first pages are already served."""

import threading

from twin_core.domain.models import OdeModel
from twin_core.solve.compiled import kernel_of


class WarmUp:
    """Has the kernels of some models compiled in the background; until then the models run interpreted."""

    def __init__(self, models: tuple[OdeModel, ...], delay_s: float) -> None:
        self._models = models
        self._timer = threading.Timer(delay_s, self._compile)
        self._timer.daemon = True

    def start(self) -> None:
        """Begin after the delay, so that the first page has the processor to itself."""
        self._timer.start()

    def wait(self) -> None:
        """Wait until everything is compiled, as before a worker is forked."""
        for model in self._models:
            kernel_of(model).wait_until_ready()

    def _compile(self) -> None:
        for model in self._models:
            kernel_of(model).warm_up_in_a_child()
