"""Boosted regression trees as plain arrays: fitted by LightGBM, served without it.

References
----------
[1] Ke et al., LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray

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
        out = np.zeros((len(inputs), len(self.first_tree) - 1))
        _compiled()(
            inputs, self.feature, self.threshold, self.left, self.right, self.leaf, self.root, self.first_tree, out
        )
        return out


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


@cache
def _compiled() -> Any:
    """The walk through the trees as machine code, compiled once in a process."""
    import numba

    return numba.njit(nogil=True)(_walk)


def _walk(
    inputs: Any, feature: Any, threshold: Any, left: Any, right: Any, leaf: Any, root: Any, first_tree: Any, out: Any
) -> None:
    n = inputs.shape[0]
    for begin in range(0, n, 64):  # so few rows stay in the fastest cache
        end = min(begin + 64, n)
        for k in range(out.shape[1]):
            for tree in range(first_tree[k], first_tree[k + 1]):
                for i in range(begin, end):
                    node = root[tree]
                    while node >= 0:
                        node = left[node] if inputs[i, feature[node]] <= threshold[node] else right[node]
                    out[i, k] += leaf[~node]
