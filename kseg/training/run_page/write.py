"""Writes the page of a run, and above the stages of FCN's staged training a page of them all."""

import os
import typing
from collections.abc import Sequence

from jinja2 import TemplateError

from kseg import checks, files
from kseg.pages import charts, environment
from kseg.training.run_folder import RunFolder, damaged, read_report
from kseg.training.run_page.story import Story, clock, recipe_text

_ROOM = "kseg.training.run_page"
_STAGES = "stages.json"
_RELOAD = (10, 60)  # least and most seconds between the page's looks at a run that goes on
_OWN_CHARTS = ("epoch", "loss", "mean_iou", "learning_rate", "seconds")


def write_run_page(output_dir: str | os.PathLike) -> str:
    """Write `report.html` of the run in `output_dir`, from the files that are there, and return its path.

    Training does so after each epoch. A run of an earlier kseg has no pictures but its last and no scores of single
    classes but its best. The folder of `train_fcn_in_stages` gets a page that compares its stages.

    Args:
        output_dir: str or path, a folder of `train`, running, finished or killed, or of `train_fcn_in_stages`.
    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if one of its files is damaged.
        OSError: if the page cannot be written.
    """
    folder = RunFolder(output_dir)
    if os.path.exists(os.path.join(folder.path, _STAGES)):
        return _write_stages(folder.path)
    checks.existing_file("output_dir", folder.report, "Give the folder that `kseg train` wrote.")
    try:
        page = _run_page(Story.read(folder))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, TemplateError) as failure:
        raise damaged(folder.report, failure) from failure
    files.write_text(folder.page, page)
    above = os.path.dirname(os.path.abspath(folder.path))
    if os.path.exists(os.path.join(above, _STAGES)):
        _write_stages(above)
    return folder.page


def _run_page(story):
    return environment.rendered(
        _ROOM, "run.html", story=story, charts=run_charts(story.history, story.best), classes=story.classes(),
        panels=story.panels(), columns=list(dict.fromkeys(name for row in story.history for name in row)),
        reload=_reload(story), clock=clock, sparkline=charts.sparkline)


def run_charts(history: Sequence[dict[str, float]], best: dict[str, typing.Any] | None) -> list[dict[str, typing.Any]]:
    """Return the charts of a history: loss, mean IoU, the other measures, learning rate, seconds per epoch."""
    names = dict.fromkeys(name.removeprefix("val_") for row in history for name in row)
    others = [name for name in names if name not in _OWN_CHARTS]
    length = max(len(history), 2)

    def chart(title, name, top=None):
        lines = [charts.Line(label, [(row["epoch"], row.get(prefix + name)) for row in history], colour)
                 for prefix, label, colour in (("", "training", charts.COLOURS[0]),
                                               ("val_", "validation", charts.COLOURS[1]))]
        lowest = min([0.0, *(y for line in lines for _, y in line.finite())])  # some losses are negative
        return charts.line_chart(title, lines, x_range=(1, length), y_range=(lowest, top),
                                 mark=best["epoch"] if best else None)

    return [chart("loss", "loss"), chart("mean IoU", "mean_iou", 1.0),
            *(chart(environment.heading(name), name) for name in others),
            chart("learning rate", "learning_rate"), chart("seconds per epoch", "seconds")]


def _write_stages(folder):
    settings = read_report(os.path.join(folder, _STAGES))
    runs = {stage: RunFolder(os.path.join(folder, stage)) for stage in settings["stages"]}
    stories = {stage: Story.read(run) if run.holds_a_run() else None for stage, run in runs.items()}
    begun = {stage: story for stage, story in stories.items() if story is not None}
    lines = [charts.Line(stage, [(row["epoch"], row.get("val_mean_iou")) for row in story.history], colour)
             for (stage, story), colour in zip(begun.items(), charts.COLOURS)]
    chart = charts.line_chart("validation mean IoU", lines, y_range=(0, 1))
    scores = {stage: {row["name"]: row["best"] for row in story.classes()} for stage, story in begun.items()}
    classes = next(iter(begun.values())).classes() if begun else []
    going = [story for story in begun.values() if story.running]
    unfinished = len(begun) < len(stories) or going
    path = RunFolder(folder).page
    files.write_text(path, environment.rendered(
        _ROOM, "stages.html", name=os.path.basename(os.path.abspath(folder)), stories=stories, chart=chart,
        scores=scores, classes=classes, recipe=recipe_text(settings["recipe"]), clock=clock,
        unfinished=bool(unfinished),
        written=max((story.written for story in begun.values()), default=0.0),
        silent=max((story.longest_silence for story in going), default=3600.0),
        reload=_reload(going[0]) if going else _RELOAD[0]))
    return path


def _reload(story):
    """Return the seconds after which the page looks again: a third of an epoch, within bounds."""
    last = story.history[-1].get("seconds", 0.0) if story.history else 0.0
    return round(min(max(last / 3, _RELOAD[0]), _RELOAD[1]))
