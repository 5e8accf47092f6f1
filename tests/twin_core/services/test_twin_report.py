import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.twin_core.services.conftest import PUMP
from twin_core.domain.units import GlucoseUnit
from twin_core.inference import sensitivity as sensitivity_module
from twin_core.inference.priors import PLAUSIBLE_SDS
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind, population_twin
from twin_core.services.application import Services
from twin_core.services.twin_report import SPREADS, Trust, parameter_rows, said_in, trust_in

METRICS = FitMetrics(
    rmse_mg_dl=14.0,
    mard_percent=8.0,
    coverage_90_percent=91.0,
    n_readings=800,
    error_sd_mg_dl=15.0,
    error_correlation=0.8,
)


def no_progress(_: float, __: str) -> None:
    return None


def fitted(told: int = 8, days: float = 3.0, **metrics: float) -> FittedTwin:
    """A twin of the population's parameters, of which the first `told` are known ten times better than before."""
    twin = population_twin(body_weight_kg=80.0, basal_u_h=1.0)
    shrink = np.where(np.arange(len(twin.theta_mean)) < told, 0.1, 0.9)
    return replace(
        twin,
        kind=TwinKind.FITTED,
        theta_covariance=twin.theta_covariance * np.outer(shrink, shrink),
        metrics=replace(METRICS, **metrics),
        window_min=(0.0, days * 1440.0),
    )


def verdict(twin: FittedTwin, age_days: float | None = 0.0) -> tuple[Trust, str]:
    return trust_in(twin, parameter_rows(twin), age_days)


def test_the_populations_twin_says_that_it_knows_nothing_of_the_person() -> None:
    trust, sentence = verdict(population_twin(), None)
    assert trust is Trust.AVERAGE
    assert "knows nothing of this person" in sentence


def test_a_twin_that_nothing_speaks_against_still_does_not_promise_a_right_what_if() -> None:
    trust, sentence = verdict(fitted())
    assert trust is Trust.AGREES
    assert "8 of 23 parameters" in sentence
    assert "does not prove" in sentence


@pytest.mark.parametrize(
    ("twin", "age_days", "reason"),
    [
        (fitted(rmse_mg_dl=39.0), 0.0, "misses the readings by 39 mg/dL"),
        (fitted(coverage_90_percent=70.0), 0.0, "held 70 %"),
        (fitted(coverage_90_percent=99.5), 0.0, "90 % interval held 100 %"),
        (fitted(days=1.0), 0.0, "1.0 days only"),
        (fitted(), 20.0, "20 days ago"),
        (fitted(told=2), 0.0, "only 2 of 23"),
    ],
)
def test_each_doubt_is_named(twin: FittedTwin, age_days: float, reason: str) -> None:
    trust, sentence = verdict(twin, age_days)
    assert trust is Trust.CARE
    assert reason in sentence


def test_a_parameter_on_its_edge_is_named() -> None:
    twin = fitted()
    prior = twin.structure.prior
    mean = prior.centre.copy()
    place = prior.names.index("Vmx")
    mean[place] += PLAUSIBLE_SDS * prior.sd[place]
    trust, sentence = verdict(replace(twin, theta_mean=mean))
    assert trust is Trust.CARE
    assert "Vmx stands on the edge" in sentence


def test_a_twin_that_misses_by_far_or_has_many_faults_is_not_to_be_relied_on() -> None:
    assert verdict(fitted(rmse_mg_dl=70.0))[0] is Trust.NOT
    assert verdict(fitted(told=0, days=1.0, rmse_mg_dl=40.0))[0] is Trust.NOT


def test_the_table_says_how_much_of_the_prior_is_left_and_how_far_it_moved() -> None:
    twin = fitted(told=1)
    prior = twin.structure.prior
    moved = replace(twin, theta_mean=prior.centre + 1.5 * prior.sd)
    first, second = parameter_rows(moved)[:2]
    assert first.variance_left == pytest.approx(0.01)
    assert second.variance_left == pytest.approx(0.81)
    assert first.moved_sds == pytest.approx(1.5)
    assert second.moved_sds == pytest.approx(1.5)
    assert first.prior_interval[1] == 1.0
    assert first.interval[0] < first.interval[1] < first.interval[2]


def test_every_parameter_has_its_unit_meaning_and_a_source_that_can_be_found() -> None:
    for row in parameter_rows(population_twin()):
        assert row.unit
        assert row.meaning
        assert row.source
        assert "[1]" not in row.source


def test_a_sentence_follows_the_unit_of_the_screen() -> None:
    sentence = "It misses by 36 mg/dL; in 70 to 180 mg/dL it is fine, as between 54 and 250 mg/dL, in 3 days."
    assert said_in(sentence, GlucoseUnit.MG_DL) == sentence
    assert said_in(sentence, GlucoseUnit.MMOL_L) == (
        "It misses by 2.0 mmol/L; in 3.9 to 10.0 mmol/L it is fine, as between 3.0 and 13.9 mmol/L, in 3 days."
    )


def test_before_a_fit_the_report_is_the_populations_and_empty_of_the_person(services: Services) -> None:
    report = services.twin_report.of(services.viewer, PUMP)
    assert not report.fitted
    assert report.version == 0
    assert report.fit is None
    assert report.versions == ()
    assert all(row.variance_left == pytest.approx(1.0) for row in report.parameters)
    assert services.twin_report.kept_sensitivity(services.viewer, PUMP, "prior") is None


def test_after_a_fit_the_report_draws_the_curve_that_the_metrics_speak_of(services: Services) -> None:
    assert services.twins.fit(services.viewer, PUMP, no_progress, days=1.0).fitted
    report = services.twin_report.of(services.viewer, PUMP)
    assert report.fitted
    assert report.fit is not None
    assert report.metrics is not None
    assert [record.version for record in report.versions] == [1]
    seen = np.isfinite(report.fit.measured_mg_dl)
    assert seen.sum() == report.metrics.n_readings
    missed = report.fit.measured_mg_dl[seen] - report.fit.median_mg_dl[seen]
    assert np.sqrt(np.mean(missed**2)) == pytest.approx(report.metrics.rmse_mg_dl, rel=0.1)
    inside = (report.fit.low_mg_dl <= report.fit.measured_mg_dl) & (report.fit.measured_mg_dl <= report.fit.high_mg_dl)
    assert 100.0 * inside[seen].mean() == pytest.approx(report.metrics.coverage_90_percent, abs=5.0)
    assert services.twin_report.of(services.viewer, PUMP).fit is report.fit
    course = services.twin_report.course(services.viewer, PUMP)
    assert not course.empty
    assert (np.diff(course.fitted_windows[:, :2]) > 0.0).all()
    assert (np.diff(course.fitted_windows[:, 2:], axis=1) >= 0.0).all()


def test_a_sensitivity_analysis_is_kept_for_its_twin_and_spread_alone(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity_module.sensitivity_of, "__kwdefaults__", _fewer_samples())
    said: list[float] = []
    outcome = services.twin_report.sensitivity(services.viewer, PUMP, "prior", lambda share, _: said.append(share))
    assert outcome.done
    assert said[-1] == 1.0
    view = services.twin_report.kept_sensitivity(services.viewer, PUMP, "prior")
    assert view is not None
    assert len(view.names) == len(view.meanings) == 12
    assert len(view.left_out) == 11
    assert [outcome.title for outcome in view.outcomes] == ["Mean glucose", "Lowest glucose", "Time in range"]
    assert services.twin_report.kept_sensitivity(services.viewer, PUMP, "posterior") is None
    assert set(SPREADS) == {"prior", "posterior"}


def test_an_unknown_spread_is_refused_with_a_sentence(services: Services) -> None:
    outcome = services.twin_report.sensitivity(services.viewer, PUMP, "guess", no_progress)
    assert not outcome.done
    assert "guess" in outcome.sentence


def test_the_web_process_does_not_load_salib() -> None:
    heavy = "{'SALib', 'pandas', 'scipy.stats'}"
    code = f"import sys, twin_core.services.twin_report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _fewer_samples() -> dict[str, object]:
    defaults = sensitivity_module.sensitivity_of.__kwdefaults__
    assert defaults is not None
    return {**defaults, "samples": 32}
