"""The Mix Transformer (MiT) of keras_cv, at the strides and the fixed square size its library builds.

The library's blocks cannot be loaded again (their `get_config` names arguments that their constructors refuse), so
that they are laid out here as layers of Keras, with the library's order of operations and names that never change.
Height and width are the square root of the number of tokens: the image must be square with sides divisible by 32; no
stride is traded.
Reference: Xie, Wang, Yu, Anandkumar, Alvarez, Luo, SegFormer: Simple and Efficient Design for Semantic Segmentation
with Transformers, NeurIPS 2021, arXiv:2105.15203, section 3.1.
"""

import math

import keras
from keras import ops

from kseg.encoders.row import Encoder, Features, Pairs


def mix_transformer(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None,
                    library: keras.Model, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of a MiT, at the size that `library` was built for: features c2…c5 at strides 4, 8, 16 and 32.

    No stride is traded, so that there are no rates.
    """
    clones = _Clones()
    return clones.run(library, tensor, row.taps), clones.pairs


class _Clones:
    """Lays a keras_cv MiT out as layers of Keras; `pairs` holds the (library layer, clone) pairs that have weights."""

    def __init__(self):
        self.pairs: Pairs = []

    def run(self, library, tensor, taps):
        """Return the features of `library` for `tensor` `[B, H, W, 3]` by the names in `taps`."""
        features, stage = {}, 0
        for layer in library.layers:
            kind = type(layer).__name__
            if kind == "OverlappingPatchingAndEmbedding":
                tensor = self._clone(layer.proj, f"{layer.name}_conv", tensor)  # [B, h, w, C]
                side, channels = tensor.shape[2:]
                tokens = self._tokens(f"{layer.name}_tokens", tensor)
                tokens = self._clone(layer.norm, f"{layer.name}_norm", tokens)
            elif kind == "HierarchicalTransformerEncoder":
                tokens = self._block(layer, tokens)
            elif kind == "LayerNormalization":
                tokens = self._clone(layer, f"norm_{stage}", tokens)
                stage += 1
            elif kind == "Reshape":
                tensor = keras.layers.Reshape((side, side, channels), name=layer.name)(tokens)
                features.update({key: tensor for key, tap in taps.items() if tap == layer.name})
        return features

    def _clone(self, layer, name, tensor):
        clone = type(layer).from_config({**layer.get_config(), "name": name})
        self.pairs.append((layer, clone))
        return clone(tensor)

    @staticmethod
    def _tokens(name, tensor):
        return keras.layers.Reshape((-1, tensor.shape[-1]), name=name)(tensor)

    def _block(self, block, tokens):
        """Self-attention and the Mix-FFN, each behind a normalisation and beside a shortcut; `[B, N, C]` stays."""
        name, channels = block.name, tokens.shape[2]
        side = math.isqrt(tokens.shape[1])
        outputs = self._clone(block.norm1, f"{name}_norm1", tokens)
        outputs = self._attention(block.attn, f"{name}_attention", outputs, side)
        tokens = self._add(block, f"{name}_attention", tokens, outputs)
        outputs = self._clone(block.norm2, f"{name}_norm2", tokens)
        outputs = self._clone(block.mlp.fc1, f"{name}_ffn_dense1", outputs)
        outputs = keras.layers.Reshape((side, side, 4 * channels), name=f"{name}_ffn_map")(outputs)
        outputs = self._clone(block.mlp.dwconv, f"{name}_ffn_depthwise", outputs)
        outputs = ops.gelu(self._tokens(f"{name}_ffn_tokens", outputs), approximate=True)
        outputs = self._clone(block.mlp.fc2, f"{name}_ffn_dense2", outputs)
        return self._add(block, f"{name}_ffn", tokens, outputs)

    @staticmethod
    def _add(block, name, tokens, outputs):
        if block.drop_path.rate:
            outputs = keras.layers.Dropout(block.drop_path.rate, noise_shape=(None, 1, 1), name=f"{name}_drop")(outputs)
        return keras.layers.Add(name=f"{name}_add")([tokens, outputs])

    def _attention(self, attention, name, tokens, side):
        """Attention of all tokens `[B, N, C]` to tokens reduced by `sr_ratio` along each side."""
        count, channels = tokens.shape[1:]
        reduced = tokens
        if attention.sr_ratio > 1:
            # The library reads the transposed tokens as a map, and its answer as channels first: so do its weights.
            reduced = keras.layers.Permute((2, 1), name=f"{name}_transposed")(tokens)
            reduced = keras.layers.Reshape((side, side, channels), name=f"{name}_map")(reduced)
            reduced = self._clone(attention.sr, f"{name}_reduction", reduced)
            reduced = keras.layers.Reshape((channels, -1), name=f"{name}_reduced")(reduced)
            reduced = keras.layers.Permute((2, 1), name=f"{name}_reduced_tokens")(reduced)
            reduced = self._clone(attention.norm, f"{name}_reduction_norm", reduced)
        query, key, value = (
            self._heads(self._clone(layer, f"{name}_{part}", source), f"{name}_{part}", attention.num_heads)
            for layer, part, source in ((attention.q, "query", tokens), (attention.k, "key", reduced),
                                        (attention.v, "value", reduced)))  # [B, heads, tokens, C / heads]
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * attention.scale  # [B, heads, N, reduced]
        outputs = ops.matmul(ops.softmax(scores, axis=-1), value)
        outputs = keras.layers.Permute((2, 1, 3), name=f"{name}_joined")(outputs)
        outputs = keras.layers.Reshape((count, channels), name=f"{name}_tokens")(outputs)
        return self._clone(attention.proj, f"{name}_projection", outputs)

    @staticmethod
    def _heads(tokens, name, heads):
        split = keras.layers.Reshape((-1, heads, tokens.shape[2] // heads), name=f"{name}_split")(tokens)
        return keras.layers.Permute((2, 1, 3), name=f"{name}_heads")(split)
