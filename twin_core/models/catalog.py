"""Every model and drug of the twin: explicit tables, so that a search finds them. One line adds one."""

from twin_core.domain.models import OdeModel

MODELS: tuple[OdeModel, ...] = ()
"""Systems of differential equations, by organ."""
