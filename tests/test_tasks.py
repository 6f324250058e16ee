"""The table of tasks: numbers of classes, names, thresholds, decisions."""

import numpy as np
import pytest

from kseg import tasks
from kseg.labels import LabelSet


@pytest.mark.parametrize("name, classes, ids, names, confusion", [
    ("multiclass", 3, 3, 3, (3, 3)), ("binary", 1, 2, 2, (2, 2)), ("multilabel", 3, 2, 3, (3, 2, 2))])
def test_what_follows_from_the_number_of_classes(name, classes, ids, names, confusion):
    task = tasks.of(name)
    assert task.check_classes(classes) == classes
    assert (task.ids(classes), task.names(classes), task.confusion_shape(classes)) == (ids, names, confusion)
    label_set = task.label_set(classes)
    assert len(label_set) == names and task.classes_of(label_set) == classes
    assert len(task.class_names(label_set)) == classes
    assert task.of_classes(np.zeros(confusion[:-1])).shape == (classes,)
    assert task.label_shape((5, 6), classes) == ((5, 6, 3) if name == "multilabel" else (5, 6))


def test_names_and_colours():
    assert tasks.of("binary").label_set(["crack"]).names == ("background", "crack")
    assert tasks.of("binary").label_set(1).names == ("background", "foreground")
    assert tasks.of("binary").class_names(LabelSet(("ground", "crack"))) == ("crack",)
    assert (tasks.of("multilabel").label_set(["a", "b"]).palette.sum(-1) > 0).all()  # black means none of them
    assert not tasks.of("multiclass").label_set(2).palette[0].any()


@pytest.mark.parametrize("call, sentence", [
    (lambda: tasks.of("binry"), "`task` must be one of ('multiclass', 'binary', 'multilabel'), got task='binry'. "
     "Did you mean 'binary'?"),
    (lambda: tasks.of("multiclass").check_classes(1), "`classes` must be an integer of at least 2, got classes=1. "
     "Count the classes without the ignore class; background and one kind of object are 2, or classes=1 with "
     'task="binary".'),
    (lambda: tasks.of("binary").check_classes(2), "`classes` must be 1 for task='binary', got classes=2. "
     "The one class is the foreground: pass classes=1."),
    (lambda: tasks.of("binary").classes_of(LabelSet(("a", "b", "c"))), "`task` must fit the 3 classes of the dataset, "
     "a, b, c, got task='binary'. A binary task takes labels of background and foreground: merge the ids with "
     "label_map."),
    (lambda: tasks.of("multiclass").checked_threshold(0.5, 3), "`threshold` must be None for task='multiclass', got "
     "threshold=0.5. The class with the largest logit wins there."),
    (lambda: tasks.of("binary").checked_threshold(1, 1), "`threshold` must be a number between 0 and 1, not 0 or 1, "
     "got threshold=1. Pass a probability between 0 and 1."),
    (lambda: tasks.of("multilabel").checked_threshold([0.5, 0.4], 3), "`threshold` must be a number, or 3, one per "
     "class, got threshold=[0.5, 0.4]. Pass a probability between 0 and 1, or one per class."),
])
def test_illegal_values(call, sentence):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == sentence


def test_thresholds_are_one_number_or_one_per_class():
    several = tasks.of("multilabel")
    assert several.checked_threshold(None, 2) is None and several.checked_threshold(0.25, 2) == 0.25
    assert several.checked_threshold(np.array([0.2, 0.3]), 2) == (0.2, 0.3)
    with pytest.raises(TypeError, match="must be a number between 0 and 1"):
        several.checked_threshold("half", 2)


def test_decisions():
    scores = np.array([[-1.0, 0.0, 2.0], [3.0, 1.0, -2.0]], np.float32)
    assert tasks.of("multiclass").decide(scores).tolist() == [2, 0]
    found = tasks.of("multilabel").decide(scores, tasks.logit([0.5, 0.5, 0.9]))
    assert found.tolist() == [[0, 0, 0], [1, 1, 0]] and found.dtype == np.uint8  # logit(0.9) is 2.197
    assert tasks.of("binary").decide(scores[:, 2:]).tolist() == [1, 0]


def test_a_foreign_model_has_the_task_of_its_logits():
    assert tasks.known(None, 1).name == "binary" and tasks.known(None, 2).name == "multiclass"
    assert tasks.known("multilabel", 1).name == "multilabel"
