"""Boosted regression trees as plain arrays: fitted by LightGBM, served without it.

References
----------
[1] Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray
from twin_core.forecast.tree_walk import walk

UNKNOWN = np.float32(-1e4)
"""Stands for NaN in the trees' inputs: below everything that is known."""
_FIELDS = ("feature", "threshold", "left", "right", "leaf", "root", "first_tree")


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Sums of trees, one sum for each output. A node below zero is leaf `~node`.

    Attributes
    ----------
    feature, threshold, left, right
        Shape `(n_nodes,)`: go left where `input[feature] <= threshold`.
    leaf
        Shape `(n_leaves,)`: what a leaf adds.
    root
        Shape `(n_trees,)`: first node of each tree.
    first_tree
        Shape `(n_outputs + 1,)`: trees `first_tree[k]` to `first_tree[k + 1]` belong to output `k`.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    leaf: NDArray[np.float32]
    root: NDArray[np.int32]
    first_tree: NDArray[np.int32]

    @classmethod
    def of_boosters(cls, dumped: Sequence[Mapping[str, Any]]) -> "Trees":
        """From what LightGBM's `Booster.dump_model()` gives, one for each output."""
        builder = _Builder()
        for model in dumped:
            for tree in model["tree_info"]:
                builder.roots.append(builder.add(tree["tree_structure"]))
            builder.firsts.append(len(builder.roots))
        return builder.trees()

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> "Trees":
        """From the arrays that `arrays` gave."""
        return cls(**{field: arrays[f"{prefix}_{field}"] for field in _FIELDS})

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """What an artifact keeps, by name."""
        return {f"{prefix}_{field}": getattr(self, field) for field in _FIELDS}

    def predict(self, inputs: NDArray[np.float32]) -> FloatArray:
        """The sums for inputs `(n, n_features)` without NaN, see `known`; shape `(n, n_outputs)`."""
        out = np.empty((len(inputs), len(self.first_tree) - 1))
        walk()(inputs, *self._nodes, self.first_tree, out, *inputs.shape, out.shape[1])
        return out

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
        """Feature, value, children and roots as `tree_walk` wants them: the leaves are nodes after the others."""
        n_nodes, n_leaves = len(self.feature), len(self.leaf)
        leaves = np.arange(n_nodes, n_nodes + n_leaves, dtype=np.int32)
        sides = [np.concatenate([_placed(side, n_nodes), leaves]) for side in (self.left, self.right)]
        return (
            np.concatenate([self.feature, np.zeros(n_leaves)]).astype(np.int32),
            np.concatenate([self.threshold, self.leaf]),
            np.stack(sides, axis=1),
            _placed(self.root, n_nodes),
        )


def _placed(node: NDArray[np.int32], n_nodes: int) -> NDArray[np.int32]:
    """Nodes with leaf `~place` as node `n_nodes + place`."""
    return np.where(node >= 0, node, n_nodes + ~node).astype(np.int32)


def known(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inputs with `UNKNOWN` in place of NaN."""
    return np.ascontiguousarray(np.where(np.isfinite(inputs), inputs, UNKNOWN), dtype=np.float32)


class _Builder:
    """Collects nodes and leaves of dumped trees."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, float, int, int]] = []
        self.leaves: list[float] = []
        self.roots: list[int] = []
        self.firsts = [0]

    def add(self, node: Mapping[str, Any]) -> int:
        """The place of a node and, after it, of everything below it."""
        if "split_feature" not in node:
            self.leaves.append(float(node["leaf_value"]))
            return ~(len(self.leaves) - 1)
        place = len(self.nodes)
        self.nodes.append((0, 0.0, 0, 0))
        threshold = _not_above(float(node["threshold"]))
        self.nodes[place] = (
            int(node["split_feature"]),
            threshold,
            self.add(node["left_child"]),
            self.add(node["right_child"]),
        )
        return place

    def trees(self) -> Trees:
        """Everything collected, as arrays."""
        feature, threshold, left, right = zip(*self.nodes, strict=True) if self.nodes else ((), (), (), ())
        return Trees(
            feature=np.array(feature, dtype=np.int16),
            threshold=np.array(threshold, dtype=np.float32),
            left=np.array(left, dtype=np.int32),
            right=np.array(right, dtype=np.int32),
            leaf=np.array(self.leaves, dtype=np.float32),
            root=np.array(self.roots, dtype=np.int32),
            first_tree=np.array(self.firsts, dtype=np.int32),
        )


def _not_above(threshold: float) -> float:
    """The largest single-precision number not above a threshold: singles fall on the same sides of both."""
    single = np.float32(threshold)
    return float(single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf)))
