"""The comparison: same rows for every model, and baselines that do what they say."""

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import History
from twin_core.forecast import evaluation, report
from twin_core.forecast.context import CONTEXT_NAMES, Inputs, context_column
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.features import FEATURES, N_STEPS, column
from twin_core.forecast.ridge import ContextScaling, Ridge
from twin_core.forecast.targets import blocks


@pytest.fixture(scope="module")
def histories(record):
    return {"a": record(days=12, seed=1), "b": record(days=8, seed=2)}


@pytest.fixture(scope="module")
def held(histories, shipped):
    return evaluation.held_out(histories, shipped.model, DampedTrend(fading_min=10.0))


@pytest.fixture(scope="module")
def scored(held):
    return evaluation.scores(held.sample, held.predicted)


def test_all_models_are_scored_on_the_same_rows(scored):
    counts = {}
    for score in scored:
        counts.setdefault(score.horizon_min, set()).add(score.count)
    assert set(counts) == set(evaluation.TABLE_HORIZONS_MIN)
    assert all(len(each) == 1 for each in counts.values())


def test_persistence_has_no_skill_against_itself(scored):
    assert {score.skill for score in scored if score.model == "persistence"} == {0.0}


def test_only_the_probabilistic_model_has_intervals(scored):
    for score in scored:
        assert (score.coverage is None) == (score.width is None) == (score.model != "shipped")


def test_wider_intervals_cover_more(scored):
    for score in scored:
        if score.coverage:
            assert score.coverage[50] < score.coverage[80] <= score.coverage[90]
            assert score.width[50] < score.width[80] < score.width[90]


def test_the_samples_of_the_three_blocks_share_no_window(histories):
    samples = (evaluation.training_sample, evaluation.calibration_sample, evaluation.held_out_sample)
    seen = [{window.tobytes() for window in sample(histories).inputs.windows[:, -1]} for sample in samples]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_the_held_out_sample_keeps_person_window_and_reading_together(histories):
    sample = evaluation.held_out_sample(histories)
    sizes = [blocks(history).test.size for history in histories.values()]
    assert [(sample.persons == person).sum() for person in histories] == sizes
    assert sample.inputs.windows.shape == (sum(sizes), N_STEPS, len(FEATURES))
    assert np.nanmedian(np.abs(sample.observed_mg_dl[:, 0] - sample.now_mg_dl)) < 10.0


def test_an_empty_block_is_refused():
    nothing = History(cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0))
    with pytest.raises(BadInput, match="None of 1 histories"):
        evaluation.held_out_sample({"a": nothing})


def test_scores_of_a_known_error_are_that_error(histories):
    sample = evaluation.held_out_sample(histories)
    five_high = np.nan_to_num(sample.observed_mg_dl) + 5.0
    wide = five_high[..., None] + np.linspace(-6, 6, len(QUANTILE_LEVELS))
    said = evaluation.Predicted(model="m", mean_mg_dl=five_high, median_mg_dl=five_high, quantiles_mg_dl=wide)
    for score in evaluation.scores(sample, (said,)):
        assert (score.rmse, score.mae, score.bias) == pytest.approx((5.0, 5.0, 5.0))
        assert score.rmse_per_person == pytest.approx(5.0)
        assert score.coverage == {50: 0.0, 80: 0.0, 90: 1.0}
        assert score.width == pytest.approx({50: 4.0, 80: 8.0, 90: 12.0})


def test_ridge_recovers_a_linear_law():
    rng = np.random.default_rng(8)
    windows = np.zeros((9000, N_STEPS, len(FEATURES)), dtype=np.float32)
    context = np.zeros((9000, len(CONTEXT_NAMES)), dtype=np.float32)
    context[:, context_column("bolus_on_board")] = rng.normal(0, 1, 9000).clip(-3.5, 3.5)
    windows[:, 20, column("glucose_from_now")] = rng.normal(0, 40, 9000)
    law = 20.0 - 7.0 * context[:, context_column("bolus_on_board")] + windows[:, 20, column("glucose_from_now")] / 8.0
    change = law[:, None].astype(float).repeat(len(HORIZONS_MIN), axis=1)
    change[rng.random(change.shape) < 0.2] = np.nan
    inputs = Inputs(windows=windows, context=context)
    scaled = ContextScaling.of(context).apply(context)
    error = Ridge.fitted(scaled, inputs, change).change(scaled, inputs) - change
    assert np.nanstd(error) < 0.05 * np.nanstd(change)


def test_the_table_has_a_line_for_each_model_and_horizon(scored):
    lines = evaluation.table_markdown(scored).splitlines()
    assert len(lines) == 2 + len(scored)
    assert len({line.count("|") for line in lines}) == 1
    assert any(line.startswith("| ridge | 120 |") for line in lines)


def test_every_persons_own_scores_make_up_the_mean_of_the_table(histories, scored, held):
    people = [row for row in evaluation.person_rows(held) if row.horizon_min == 60.0]
    assert [each.person for each in people] == list(histories)
    for model, own in (("shipped", "rmse"), ("persistence", "persistence_rmse")):
        (row,) = (score for score in scored if score.model == model and score.horizon_min == 60.0)
        assert np.mean([getattr(each, own) for each in people]) == pytest.approx(row.rmse_per_person)


def test_ranges_share_out_all_readings(scored, held):
    for horizon in evaluation.PERSON_HORIZONS_MIN:
        (row,) = (score for score in scored if score.model == "shipped" and score.horizon_min == horizon)
        assert sum(each.count for each in evaluation.range_rows(held) if each.horizon_min == horizon) == row.count


def test_groups_share_out_all_people_and_readings(histories, scored, held):
    rows = evaluation.group_rows(held, histories)
    assert {row.group for row in rows} == {"therapy", "sampling"}
    for horizon in evaluation.PERSON_HORIZONS_MIN:
        (row,) = (score for score in scored if score.model == "shipped" and score.horizon_min == horizon)
        for group in ("therapy", "sampling"):
            own = [each for each in rows if (each.group, each.horizon_min) == (group, horizon)]
            assert sum(each.persons for each in own) == len(histories)
            assert sum(each.count for each in own) == row.count
            weighted = sum(each.count * each.bias for each in own) / row.count
            assert weighted == pytest.approx(row.bias)


def test_what_a_forecast_leans_on_is_what_it_misses_when_that_is_shuffled(held, shipped):
    rows = report.reliance_rows(held, shipped.model)
    growth = {(row.kind, row.horizon_min): row.rmse_growth for row in rows}
    assert len(rows) == len(growth) == 18
    assert growth["trend", 30.0] == max(each for (_, horizon), each in growth.items() if horizon == 30.0) > 0.5
    assert rows == report.reliance_rows(held, shipped.model)


def test_a_damped_trend_follows_a_straight_line_at_first_and_then_fades(histories):
    inputs = evaluation.held_out_sample(histories).inputs
    context = inputs.context.copy()
    context[:, context_column("change_15")] = 15.0
    change = DampedTrend(fading_min=20.0).change(Inputs(windows=inputs.windows, context=context))
    assert change[0, 0] == pytest.approx(20.0 * (1.0 - np.exp(-5.0 / 20.0)))
    assert change[0, -1] == pytest.approx(20.0, rel=1e-3)


def test_the_table_on_disk_has_a_row_for_each_person_origin_and_horizon(held, tmp_path):
    import pandas as pd

    from twin_core.forecast import table

    file = tmp_path / "forecasts.parquet"
    rows = table.write(held, file)
    read = pd.read_parquet(file)
    assert len(read) == rows == len(held.sample.persons) * len(HORIZONS_MIN)
    assert list(read.columns[:3]) == ["person", "origin_utc", "horizon_min"]
    assert not read.duplicated(["person", "origin_utc", "horizon_min"]).any()
    assert read["observed_mg_dl"].isna().sum() == np.isnan(held.sample.observed_mg_dl).sum()
    at_60 = read[read["horizon_min"] == 60]
    np.testing.assert_allclose(at_60["mean"], held.shipped.mean_mg_dl[:, 11], rtol=1e-6)
