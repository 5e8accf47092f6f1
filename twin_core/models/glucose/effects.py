"""Everything that can act on a glucose model besides carbohydrate and rapid insulin: the table that a page shows."""

from twin_core.models.glucose import conditions, exercise, glucagon, meals, rhythm
from twin_core.models.glucose.conditions import STRAINS
from twin_core.models.glucose.insulins import DEPOTS, INHALED, Depot
from twin_core.models.glucose.sourced import Effect


def _insulin(name: str, depot: Depot) -> Effect:
    return Effect(
        name=name,
        title=depot.title[0].upper() + depot.title[1:],
        inputs=("appearing_u_min", "own_basal"),
        statement=f"A dose of {depot.title} reaches plasma in two steps, a slow one and a fast one.",
        numbers=(depot.fading_half_life, depot.onset_half_life, depot.share),
    )


EFFECTS: tuple[Effect, ...] = (
    *(_insulin(insulin.value, depot) for insulin, depot in DEPOTS.items()),
    _insulin("inhaled", INHALED)._replace(inputs=("appearing_u_min",)),
    Effect(
        name="protein_and_fat",
        title="Protein and fat",
        inputs=("late_carbs_mg_min",),
        statement="Protein and fat count as late carbohydrate, by their energy (the Warsaw rule).",
        numbers=(meals.PROTEIN_KCAL_G, meals.FAT_KCAL_G, meals.CARBS_G_KCAL, meals.ONSET_MIN, meals.LATE_MIN),
    ),
    Effect(
        name="fat_and_fibre",
        title="Fat and fibre in the stomach",
        inputs=("emptying_share",),
        statement="Fat and fibre slow the stomach while they are in it.",
        numbers=(meals.HALVING_FAT_G, meals.HALVING_FIBRE_G, meals.LEAVING_MIN),
    ),
    Effect(
        name="exercise",
        title="Exercise",
        inputs=("heart_rate_reserve", "exertion_per_min", "exertion_lasting"),
        statement="Heartbeats above rest raise glucose uptake at once, and insulin's action for about a day.",
        numbers=(
            exercise.RESTING_PER_MIN,
            exercise.HIGHEST_PER_MIN,
            exercise.AT_ONCE_MIN,
            exercise.COMING_MIN,
            exercise.LASTING_MIN,
            exercise.THRESHOLD,
            exercise.STEEPNESS,
        ),
    ),
    Effect(
        name="glucagon",
        title="Glucagon",
        inputs=("glucagon_mg",),
        statement="Glucagon under the skin peaks in plasma after about 20 min and acts on the liver a little later.",
        numbers=(
            glucagon.LEAVING_SKIN_PER_MIN,
            glucagon.LEAVING_PLASMA_PER_MIN,
            glucagon.REACHING_LIVER_PER_MIN,
            glucagon.SHARE,
            glucagon.VOLUME_L_KG,
        ),
    ),
    *(
        Effect(
            name=kind.value,
            title=kind.value.capitalize(),
            inputs=("sensitivity",),
            statement=f"{kind.value.capitalize()} lowers insulin's action to {strain.factor.value:g} of its own.",
            numbers=(strain.factor, strain.rising, strain.lasting, strain.falling),
        )
        for kind, strain in STRAINS.items()
    ),
    Effect(
        name="alcohol",
        title="Alcohol",
        inputs=("production_share",),
        statement="Alcohol lowers what the liver makes by 30 to 70 %, from one to two hours after the drink.",
        numbers=(
            conditions.PORTION_SHARE,
            conditions.LOWEST_SHARE,
            conditions.ALCOHOL_FROM_MIN,
            conditions.ALCOHOL_RISING_MIN,
            conditions.ALCOHOL_LASTING_MIN,
            conditions.ALCOHOL_PORTION_MIN,
            conditions.ALCOHOL_LONGEST_MIN,
        ),
    ),
    Effect(
        name="sensitivity_by_time_of_day",
        title="Insulin sensitivity by time of day",
        inputs=("sensitivity",),
        statement="Insulin's action has three levels a day, of the person's own.",
        numbers=(rhythm.FIRST_WINDOW_MIN,),
    ),
    Effect(
        name="dawn",
        title="Dawn",
        inputs=("production_added_mg_kg_min",),
        statement="Between three and seven in the morning the liver makes more glucose, in about half of the people.",
        numbers=(rhythm.DAWN_BEGINS_MIN, rhythm.DAWN_ENDS_MIN, rhythm.PUBLISHED_DAWN_MG_KG_MIN),
    ),
)
