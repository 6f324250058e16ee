"""The Mix Transformer (MiT) in the geometry of its release, of smp and of mmsegmentation, for images of any size.

keras_cv's MiT (`kseg.encoders.mit`) reads transposed tokens as maps and has another GELU: the released weights do not
fit it. Tokens stay maps `[B, H, W, C]` here. Layers are called as smp's modules, with "_" for
".": "patch_embed1_proj", "block1_0_attn_kv".
Reference: Xie, Wang, Yu, Anandkumar, Alvarez, Luo, SegFormer: Simple and Efficient Design for Semantic Segmentation
with Transformers, NeurIPS 2021, arXiv:2105.15203, section 3.1 and table 6.
"""

import keras

from kseg.encoders.row import Encoder, Features, Pairs
from kseg.layers import MapAttention

HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)  # of the sides of the map that is attended to


def torch_mit(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None, library: None, *,
              full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of a MiT: features c2…c5 at strides 4, 8, 16 and 32. No stride is traded."""
    features, outputs = {}, tensor
    stages = zip(row.arguments["depths"], row.arguments["embedding_dims"], HEADS, REDUCTIONS, strict=True)
    for stage, (depth, channels, heads, reduction) in enumerate(stages, start=1):
        side, stride = (7, 4) if stage == 1 else (3, 2)
        outputs = keras.layers.ZeroPadding2D(side // 2, name=f"patch_embed{stage}_margin")(outputs)
        outputs = keras.layers.Conv2D(channels, side, stride, "valid", name=f"patch_embed{stage}_proj")(outputs)
        outputs = _normalized(outputs, f"patch_embed{stage}_norm", 1e-5)  # [B, H, W, channels]
        for block in range(depth):
            outputs = _block(outputs, heads, reduction, f"block{stage}_{block}")
        outputs = _normalized(outputs, f"norm{stage}")
        features[f"c{stage + 1}"] = outputs
    return features, []


def _block(inputs, heads, reduction, name):
    """Self-attention and the Mix-FFN, each behind a normalisation and beside a shortcut; `[B, H, W, C]` stays."""
    channels = inputs.shape[-1]
    outputs = _attention(_normalized(inputs, f"{name}_norm1"), heads, reduction, f"{name}_attn")
    inputs = keras.layers.Add(name=f"{name}_attn_add")([inputs, outputs])
    outputs = keras.layers.Dense(4 * channels, name=f"{name}_mlp_fc1")(_normalized(inputs, f"{name}_norm2"))
    outputs = keras.layers.DepthwiseConv2D(3, padding="same", name=f"{name}_mlp_dwconv_dwconv")(outputs)
    outputs = keras.layers.Activation("gelu", name=f"{name}_mlp_act")(outputs)
    outputs = keras.layers.Dense(channels, name=f"{name}_mlp_fc2")(outputs)
    return keras.layers.Add(name=f"{name}_mlp_add")([inputs, outputs])


def _attention(inputs, heads, reduction, name):
    """Attention of all pixels to those of a map whose sides are `reduction` times smaller."""
    channels, reduced = inputs.shape[-1], inputs
    if reduction > 1:
        reduced = keras.layers.Conv2D(channels, reduction, reduction, "valid", name=f"{name}_sr")(inputs)
        reduced = _normalized(reduced, f"{name}_norm", 1e-5)
    queries = keras.layers.Dense(channels, name=f"{name}_q")(inputs)
    keys_and_values = keras.layers.Dense(2 * channels, name=f"{name}_kv")(reduced)
    outputs = MapAttention(heads, name=f"{name}_heads")(queries, keys_and_values)
    return keras.layers.Dense(channels, name=f"{name}_proj")(outputs)


def _normalized(inputs, name, epsilon=1e-6):
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(inputs)
