"""Every model and drug of the twin: explicit tables, so that a search finds them. One line adds one."""

from twin_core.domain.drugs import Drug
from twin_core.domain.models import OdeModel
from twin_core.models.glucose import dalla_man_2007, dalla_man_2014, edes, hovorka_2004
from twin_core.models.pk.drugs import caffeine, metformin, vancomycin

MODELS: tuple[OdeModel, ...] = (dalla_man_2014.MODEL, hovorka_2004.MODEL, dalla_man_2007.MODEL, edes.MODEL)
"""Systems of differential equations, by organ."""

DRUGS: tuple[Drug, ...] = (vancomycin.DRUG, caffeine.DRUG, metformin.DRUG)
"""Drugs with a published population model."""
