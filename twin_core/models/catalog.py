"""Every model and drug of the twin: explicit tables, so that a search finds them. One line adds one."""

from twin_core.domain.drugs import Drug
from twin_core.domain.models import OdeModel
from twin_core.models.glucose import dalla_man_2007, dalla_man_2014, edes, hovorka_2004
from twin_core.models.pk.drugs import (
    busulfan,
    caffeine,
    gentamicin,
    metformin,
    midazolam,
    paracetamol,
    paracetamol_metabolites,
    semaglutide,
    tacrolimus,
    vancomycin,
    vancomycin_buelga,
    warfarin,
)

MODELS: tuple[OdeModel, ...] = (*dalla_man_2014.MODELS, hovorka_2004.MODEL, dalla_man_2007.MODEL, edes.MODEL)
"""Systems of differential equations, by organ."""

_DOSED_BY_LEVEL = (
    vancomycin.DRUG,
    vancomycin_buelga.DRUG,
    gentamicin.DRUG,
    tacrolimus.DRUG,
    busulfan.DRUG,
)
_DOSED_BY_EFFECT = (
    warfarin.DRUG,
    paracetamol.DRUG,
    paracetamol_metabolites.DRUG,
    midazolam.DRUG,
    caffeine.DRUG,
    metformin.DRUG,
    semaglutide.DRUG,
)

DRUGS: tuple[Drug, ...] = (*_DOSED_BY_LEVEL, *_DOSED_BY_EFFECT)
"""Drugs with a published population model."""
