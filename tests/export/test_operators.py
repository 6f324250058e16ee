import tensorflow as tf

from kseg.export import GPU_DELEGATE_OPERATORS, tflite_operators
from kseg.export.operators import gpu_unfriendly, graph_operators


def _converted(function, *shape):
    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert()


def test_operators_are_counted_from_bytes_and_file(tmp_path):
    content = _converted(lambda values: tf.argmax(tf.sin(tf.sin(values)), -1), 1, 4, 4, 3)
    (tmp_path / "m.tflite").write_bytes(content)
    assert tflite_operators(content) == tflite_operators(tmp_path / "m.tflite") == {"ARG_MAX": 1, "SIN": 2}
    assert gpu_unfriendly(tflite_operators(content)) == ("ARG_MAX",)


def test_a_dilation_left_outside_its_convolution_shows():
    kernel = tf.ones([3, 3, 2, 2])
    found = tflite_operators(_converted(
        lambda values: tf.space_to_batch_nd(values, [2, 2], [[0, 0], [0, 0]]), 1, 4, 4, 2))
    assert found == {"SPACE_TO_BATCH_ND": 1} and gpu_unfriendly(found) == ("SPACE_TO_BATCH_ND",)
    inside = tflite_operators(_converted(lambda values: tf.nn.conv2d(values, kernel, 1, "SAME", dilations=2),
                                         1, 8, 8, 2))
    assert inside == {"CONV_2D": 1} and gpu_unfriendly(inside) == ()


def test_the_graph_is_counted_with_its_functions():
    inner = tf.function(lambda values: tf.sin(values))
    traced = tf.function(lambda values: inner(values) + inner(values) * 2.0).get_concrete_function(
        tf.TensorSpec([3], tf.float32))
    assert {"Sin", "AddV2", "Mul"} <= set(graph_operators(traced.graph.as_graph_def()))


def test_the_list_names_operators_that_exist():
    from ai_edge_litert import schema_py_generated as schema

    assert GPU_DELEGATE_OPERATORS <= set(vars(schema.BuiltinOperator))
