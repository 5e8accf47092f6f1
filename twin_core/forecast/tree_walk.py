"""The walk through boosted trees as machine code: eight rows at a time go down one tree, without a branch at a node.

Rows wait for memory together instead of one after another, and nothing is guessed that the data decide: 29 us a row
of a batch where the plain loop takes 72. Written as LLVM instructions because numba, which could compile a loop, costs
a process 1.7 s and 100 MB at its first function (docs/decisions/0003); this takes 20 ms.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from twin_core.solve.native import array_of, engine_of

LANES = 8
"""Rows that go together: 4 took 42 us each, 16 took 24, and one row alone takes the longer the more there are."""

_SYMBOL = "walk"


def _each(line: str) -> str:
    """A piece of code for every lane, `#` standing for its number and `^` for the one before."""
    return "".join(line.replace("#", str(lane)).replace("^", str(lane - 1)) for lane in range(LANES))


_CODE = f"""
define void @{_SYMBOL}(ptr noalias %inputs, ptr noalias %feature, ptr noalias %value, ptr noalias %child,
                       ptr noalias %root, ptr noalias %first_tree, ptr noalias %out,
                       i64 %n, i64 %n_features, i64 %n_outputs) {{
entry:
  %last_row = sub i64 %n, 1
  br label %rows

rows:
  %row = phi i64 [ 0, %entry ], [ %next_row, %rows_done ]
  %more_rows = icmp slt i64 %row, %n
  br i1 %more_rows, label %rows_begin, label %end

rows_begin:     ; a lane beyond the last row goes its way once more
{
    _each('''
  %row_of_# = add i64 %row, #
  %exists_# = icmp slt i64 %row_of_#, %n
  %lane_row_# = select i1 %exists_#, i64 %row_of_#, i64 %last_row
  %input_offset_# = mul i64 %lane_row_#, %n_features
  %input_# = getelementptr float, ptr %inputs, i64 %input_offset_#
  %output_offset_# = mul i64 %lane_row_#, %n_outputs
  %output_# = getelementptr double, ptr %out, i64 %output_offset_#
''')
}
  br label %outputs

outputs:
  %k = phi i64 [ 0, %rows_begin ], [ %next_k, %trees_done ]
  %more_outputs = icmp slt i64 %k, %n_outputs
  br i1 %more_outputs, label %outputs_begin, label %rows_done

outputs_begin:
  %next_k = add i64 %k, 1
  %first_at = getelementptr i32, ptr %first_tree, i64 %k
  %end_at = getelementptr i32, ptr %first_tree, i64 %next_k
  %first = load i32, ptr %first_at
  %end_tree = load i32, ptr %end_at
  br label %trees

trees:
  %tree = phi i32 [ %first, %outputs_begin ], [ %next_tree, %fallen ]
{
    _each('''
  %sum_# = phi double [ 0.0, %outputs_begin ], [ %next_sum_#, %fallen ]
''')
}
  %more_trees = icmp slt i32 %tree, %end_tree
  br i1 %more_trees, label %trees_begin, label %trees_done

trees_begin:
  %root_at = getelementptr i32, ptr %root, i32 %tree
  %root_node = load i32, ptr %root_at
  br label %fall

fall:           ; one node further in every lane; at a leaf a lane stays where it is
{
    _each('''
  %node_# = phi i32 [ %root_node, %trees_begin ], [ %below_#, %fall ]
''')
}
{
    _each('''
  %feature_at_# = getelementptr i32, ptr %feature, i32 %node_#
  %column_# = load i32, ptr %feature_at_#
  %limit_at_# = getelementptr float, ptr %value, i32 %node_#
  %limit_# = load float, ptr %limit_at_#
  %seen_at_# = getelementptr float, ptr %input_#, i32 %column_#
  %seen_# = load float, ptr %seen_at_#
  %is_above_# = fcmp ogt float %seen_#, %limit_#
  %above_# = zext i1 %is_above_# to i32
  %left_child_# = shl i32 %node_#, 1
  %its_child_# = or i32 %left_child_#, %above_#
  %child_at_# = getelementptr i32, ptr %child, i32 %its_child_#
  %below_# = load i32, ptr %child_at_#
  %moved_# = icmp ne i32 %below_#, %node_#
''')
}
  %any_-1 = or i1 false, false
{
    _each('''
  %any_# = or i1 %any_^, %moved_#
''')
}
  br i1 %any_{LANES - 1}, label %fall, label %fallen

fallen:
{
    _each('''
  %leaf_at_# = getelementptr float, ptr %value, i32 %node_#
  %leaf_# = load float, ptr %leaf_at_#
  %leaf_double_# = fpext float %leaf_# to double
  %next_sum_# = fadd double %sum_#, %leaf_double_#
''')
}
  %next_tree = add i32 %tree, 1
  br label %trees

trees_done:
{
    _each('''
  %sum_at_# = getelementptr double, ptr %output_#, i64 %k
  store double %sum_#, ptr %sum_at_#
''')
}
  br label %outputs

rows_done:
  %next_row = add i64 %row, {LANES}
  br label %rows

end:
  ret void
}}
"""


_SIGNATURE = ctypes.CFUNCTYPE(
    None,
    array_of(np.float32, 2),
    array_of(np.int32, 1),
    array_of(np.float32, 1),
    array_of(np.int32, 2),
    *(array_of(np.int32, 1),) * 2,
    array_of(np.float64, 2),
    *(ctypes.c_int64,) * 3,
)


@cache
def walk() -> Any:
    """The function, compiled once in a process; it holds no interpreter lock.

    Its arguments: `inputs (n, n_features)`, `feature (n_nodes,)`, `value (n_nodes,)`, `child (n_nodes, 2)`,
    `root (n_trees,)`, `first_tree (n_outputs + 1,)`, to be filled `out (n, n_outputs)`, then `n`, `n_features`,
    `n_outputs`. Go to the second child where `inputs[feature] > value`. A leaf is its own child, and its value is what
    it adds. Another type or number of dimensions raises `ctypes.ArgumentError`.
    """
    engine = engine_of(_CODE)
    engine.finalize_object()
    function = _SIGNATURE(engine.get_function_address(_SYMBOL))
    function.engine = engine  # type: ignore[attr-defined] # the code lives as long as the engine
    return function
