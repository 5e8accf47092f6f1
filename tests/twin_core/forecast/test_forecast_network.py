"""The NumPy forward pass against Keras, and a training on a made-up record: the only tests that need tensorflow."""

import json

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.domain.history import History
from twin_core.forecast.features import N_NETWORK_FEATURES, N_STEPS
from twin_core.forecast.lstm import LAYERS, raw_outputs, spread
from twin_core.forecast.model import Model
from twin_core.forecast.report import load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_numpy_gives_what_keras_gives_and_the_loss_ignores_missing_targets():
    from twin_core.forecast import network

    model = network.build(N_STEPS, N_NETWORK_FEATURES, 9)
    context = np.random.default_rng(5).normal(0, 1, (17, 9)).astype(np.float32)
    inputs = np.random.default_rng(6).normal(0, 1, (17, N_STEPS, N_NETWORK_FEATURES)).astype(np.float32)
    layers = network.weights_of(model)
    assert set(layers) == set(LAYERS)
    by_keras = np.asarray(network.quantiles(model([inputs, context], training=False)))
    by_numpy = spread(raw_outputs(layers, inputs, context))
    assert by_numpy.std() > 0.1
    np.testing.assert_allclose(60.0 * by_numpy, 60.0 * by_keras, atol=1e-4)  # 60 mg/dL: a usual change in 2 h

    changes = np.random.default_rng(7).normal(0, 1, (17, 48)).astype(np.float32)
    changes[:, 1::2] = np.nan
    miss = changes[:, ::2, None] - by_numpy[:, ::2]
    levels = np.array(network.QUANTILE_LEVELS)
    by_hand = np.maximum(levels * miss, (levels - 1) * miss).mean()
    assert float(network.pinball_loss(changes, model([inputs, context], training=False))) == pytest.approx(
        by_hand, rel=1e-5
    )


def test_training_writes_weights_that_load_and_a_manifest_that_tells_how(record, tmp_path):
    from twin_core.forecast.training import data_hash, train

    histories, told = {"a": record(days=6, seed=1), "b": record(days=6, seed=2)}, []
    manifest = train(
        histories,
        seed=3,
        epochs=2,
        out_dir=tmp_path,
        command="python -m twin_core train somewhere",
        progress=lambda share, sentence: told.append((share, sentence)),
    )
    assert json.loads((tmp_path / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    assert manifest["data_sha256"] == data_hash(histories)
    assert manifest["data_sha256"] != data_hash({**histories, "b": record(days=6, seed=4)})
    assert Model.load(tmp_path).version == manifest["model_version"]
    report = load(tmp_path)
    assert {score.model for score in report.scores} == {
        *("shipped", "boosted trees", "LSTM", "ridge", "damped trend", "persistence")
    }
    assert report.model_version == manifest["model_version"]
    assert report.rows["train"] == manifest["rows"]["train"]
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_training_can_be_stopped_from_its_progress(record, tmp_path):
    from twin_core.forecast.training import train

    def stop(share, sentence):
        raise KeyboardInterrupt(sentence)

    with pytest.raises(KeyboardInterrupt):
        train({"a": record()}, seed=1, epochs=1, out_dir=tmp_path / "new", command="", progress=stop)
    assert not (tmp_path / "new").exists()


def test_too_short_a_record_is_refused_with_what_is_needed(flat, tmp_path):
    from twin_core.forecast.training import train

    nothing = History(cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0))
    with pytest.raises(BadInput, match="a record of some days is needed"):
        train({"a": nothing}, seed=1, epochs=1, out_dir=tmp_path, command="", progress=lambda *_: None)
