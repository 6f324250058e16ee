"""Where in a checkpoint the weights stand, and under which names."""

import os
import re
from collections.abc import Iterator
from typing import Any

from kseg.encoders.checkpoint.objects import Inert, Tensor

# Averaged weights first, which papers report. MMEngine's "ema_state_dict" is not among them: there "state_dict" holds
# the average and the other one what it was taken of.
_KNOWN = ("state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model_state", "model", "net",
          "network")
_DEPTH = 8  # how far below the top a state dict is looked for
_MOST_PARTS, _LONGEST_NAME = 200_000, 1000  # of pickled networks, which may hold themselves or each other
_WRAPPERS = r"(?:module\.|model\.|_orig_mod\.)+"  # DataParallel, Lightning, torch.compile
_COUNTERS = ("n_averaged", "steps")  # of the wrappers that average weights


def find_state_dict(root: Any) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, or {} if there are none.

    That of a known name ("state_dict_ema" before "state_dict" before "model"; all in the order of `_KNOWN`) goes before
    the rest, and among those that names do not tell apart the one with the most tensors, the first in the file if two
    have as many. A network that was pickled whole counts as its state dict.
    """
    found: dict[str, Tensor] = {}
    best, seen, level, budget = None, set(), [((), root)], _Budget(_MOST_PARTS)
    for _ in range(_DEPTH):
        following = []
        for order, node in level:
            if not isinstance(node, dict) or id(node) in seen:
                continue
            seen.add(id(node))
            tensors = dict(_module_tensors(node, budget)) if _is_module(node) else {
                name: value for name, value in node.items() if isinstance(value, Tensor)}
            score = ((*order, len(_KNOWN)) if len(_KNOWN) not in order else order, -len(tensors))
            if tensors and (best is None or score < best):
                best, found = score, tensors
            following += [(_below(order, key), value) for key, value in _children(node)]
        level = following
    return found


def _below(order, key):
    """Return the order of the entry `key` of a dict of `order`; below an unknown name all have the same."""
    return order if len(_KNOWN) in order else (*order, _KNOWN.index(key) if key in _KNOWN else len(_KNOWN))


def _children(node):
    """Return names and values below `node`; those below a network are in its own state dict."""
    if _is_module(node):
        return []
    return [*node.items(), ("", node.state)] if isinstance(node, Inert) else list(node.items())


def _is_module(node):
    return isinstance(node, Inert) and node.state is not None and all(
        isinstance(node.state.get(part), dict) for part in ("_parameters", "_buffers", "_modules"))


class _Budget:
    def __init__(self, left):
        self.left = left

    def spend(self, count):
        self.left -= count
        if self.left < 0:
            raise ValueError("a network without end")


def _module_tensors(module, budget) -> Iterator[tuple[str, Tensor]]:
    """Yield what `module.state_dict()` would: parameters, buffers meant to be saved, and those of the modules in it."""
    waiting = [("", module)]
    while waiting:
        prefix, node = waiting.pop()
        unsaved = node.state.get("_non_persistent_buffers_set") or ()
        parts = [node.state[part] for part in ("_parameters", "_buffers", "_modules")]
        budget.spend(1 + sum(map(len, parts)))
        if any(len(prefix) + len(name) > _LONGEST_NAME for part in parts for name in part):
            raise ValueError("a network without end")
        for name, value in [*parts[0].items(), *parts[1].items()]:
            if isinstance(value, Tensor) and name not in unsaved:
                yield prefix + name, value
        waiting += [(f"{prefix}{name}.", inner) for name, inner in reversed(parts[2].items()) if _is_module(inner)]


def without_wrappers(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return `arrays` without the "module.", "model." or "_orig_mod." (in any order) that all names begin with."""
    names = [name for name in arrays if name not in _COUNTERS]
    match = re.match(_WRAPPERS, os.path.commonprefix(names))
    return {name[match.end():]: arrays[name] for name in names} if match else arrays
