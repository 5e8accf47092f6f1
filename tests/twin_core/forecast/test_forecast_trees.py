"""Trees as arrays give what LightGBM gives, and a tree made by hand what the hand says."""

import numpy as np
import pytest

from twin_core.forecast.trees import UNKNOWN, Trees, known


def leaf(value: float) -> dict[str, float]:
    return {"leaf_value": value}


def split(feature: int, threshold: float, left: object, right: object) -> dict[str, object]:
    return {"split_feature": feature, "threshold": threshold, "left_child": left, "right_child": right}


def test_a_tree_made_by_hand_is_walked_as_it_reads():
    tree = {"tree_structure": split(1, 5.0, leaf(1.0), split(0, -2.0, leaf(10.0), leaf(100.0)))}
    constant = {"tree_structure": leaf(0.5)}
    trees = Trees.of_boosters([{"tree_info": [tree, constant]}, {"tree_info": [constant]}])
    inputs = np.array([[0.0, 5.0], [-2.0, 5.1], [np.nan, 6.0], [0.0, 6.0]], dtype=np.float32)
    np.testing.assert_allclose(trees.predict(known(inputs)), [[1.5, 0.5], [10.5, 0.5], [10.5, 0.5], [100.5, 0.5]])


def test_unknown_lies_below_everything_known():
    assert known(np.array([[np.nan, 3.0]], dtype=np.float32)).tolist() == [[float(UNKNOWN), 3.0]]


def test_arrays_lead_back_to_the_same_trees():
    tree = {"tree_structure": split(0, 0.1, leaf(1.0), leaf(2.0))}
    trees = Trees.of_boosters([{"tree_info": [tree]}])
    again = Trees.of_arrays(trees.arrays("t"), "t")
    inputs = np.array([[np.float32(0.1)], [0.2]], dtype=np.float32)
    assert again.predict(inputs).tolist() == trees.predict(inputs).tolist()


@pytest.mark.filterwarnings("ignore")
def test_arrays_give_what_lightgbm_predicts():
    lightgbm = pytest.importorskip("lightgbm")
    from twin_core.forecast import boosting

    rng = np.random.default_rng(2)
    inputs = rng.normal(0, 1, (900, 4)).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.2] = np.nan
    filled = known(inputs)
    targets = np.where(filled[:, 0] > 0, 5.0, -5.0) + filled[:, 1].clip(-3, 3) + rng.normal(0, 0.1, 900)
    targets[:50] = np.nan
    dumped = boosting.fit(filled, targets, objective="l2", seed=1, trees=20)
    ours = Trees.of_boosters([dumped]).predict(filled)[:, 0]
    theirs = np.zeros(900)
    exists = np.isfinite(targets)
    settings = {**boosting._SETTINGS, "objective": "l2", "boost_from_average": False, "seed": 1, "num_threads": 2}
    settings["min_data_in_leaf"] = 85
    booster = lightgbm.train(settings, lightgbm.Dataset(filled[exists], targets[exists]), 20)
    theirs = booster.predict(filled)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.std(ours) > 1.0
