"""What an exported graph is made of, and what a GPU delegate will not take."""

import collections
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# Built-in operators for which the GPU delegate has a parser: `NewOperationParser` in LiteRT's
# tflite/delegates/gpu/common/model_builder.cc, at commit 34ec5badbbbf. Whether one instance is taken depends on its
# shapes and types as well; an operator that is not listed never is. Quantised operators need the delegate's default
# option `enable_quantized_inference`.
GPU_DELEGATE_OPERATORS = frozenset("""
ABS ADD ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D COS CUMSUM DENSIFY DEPTHWISE_CONV_2D
DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GELU GREATER
GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM
MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6
RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN SLICE SOFTMAX
SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV
UNPACK
""".split())


def tflite_operators(content: bytes | str | os.PathLike) -> dict[str, int]:
    """Count the operators of a TFLite model.

    Args:
        content: bytes of the file, or its path.
    Returns:
        dict, operator name (as "CONV_2D"; "CUSTOM:<name>" for operators that are not built in) -> count, by name.
    """
    counts = collections.Counter(name for name, _ in walk(content))
    return dict(sorted(counts.items()))


def gpu_unfriendly(operators: Iterable[str]) -> tuple[str, ...]:
    """Return the sorted names in `operators` that a GPU delegate leaves to the CPU."""
    return tuple(sorted(name for name in operators if name not in GPU_DELEGATE_OPERATORS))


def graph_operators(graph_def: "tf.compat.v1.GraphDef") -> dict[str, int]:
    """Count the operations of a TensorFlow graph and of the functions in it, leaving out constants and plumbing."""
    plumbing = {"Const", "Identity", "NoOp", "Placeholder", "PartitionedCall", "StatefulPartitionedCall", "_Arg",
                "_Retval"}
    nodes = list(graph_def.node)
    for function in graph_def.library.function:
        nodes.extend(function.node_def)
    counts = collections.Counter(node.op for node in nodes if node.op not in plumbing)
    return dict(sorted(counts.items()))


def walk(content: bytes | str | os.PathLike) -> Iterator[tuple[str, Any]]:
    """Yield (operator name, its entry in the flat buffer) of a TFLite model given as bytes or path."""
    from ai_edge_litert import schema_py_generated as schema

    if not isinstance(content, (bytes, bytearray)):
        with open(content, "rb") as file:
            content = file.read()
    model = schema.Model.GetRootAs(content, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for position in range(graph.OperatorsLength()):
            operator = graph.Operators(position)
            code = model.OperatorCodes(operator.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = code.CustomCode()
            yield (f"CUSTOM:{custom.decode()}" if custom else names.get(number, str(number))), operator
