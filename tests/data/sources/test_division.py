"""Files without splits: shares by a hash of names, alike in every process, groups together, lists of files."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from kseg.data.sources.division import Division

SPLITS = ("train", "validation", "test")


def pairs(names):
    return [(f"/data/images/{name}.jpg", f"/data/masks/{name}.png") for name in names]


def parts(names, **options):
    """Return {split: names} of a division."""
    division = Division.of_options(**{"split_fractions": (0.7, 0.2, 0.1), "split_groups": None, "split_seed": None,
                                      "split_lists": None, **options})
    return {split: [pair[0].split("/")[-1][:-4] for pair in division.part(pairs(names), split, "/data")]
            for split in SPLITS}


NAMES = [f"scene_{index // 5:02d}_tile_{index % 5}" for index in range(200)]


def test_the_splits_are_the_files_in_their_shares():
    found = parts(NAMES)
    assert sorted(sum(found.values(), [])) == sorted(NAMES)
    assert [len(found[split]) for split in SPLITS] == [140, 40, 20]
    assert found["train"] == sorted(found["train"])  # in the order of the files


def test_a_seed_is_another_division_and_none_is_0():
    assert parts(NAMES) == parts(NAMES, split_seed=0)
    one, other = (set(parts(NAMES, split_seed=seed)["validation"]) for seed in (0, 1))
    assert len(one) == len(other) == 40 and len(one & other) < 20


def test_groups_stay_together():
    found = parts(NAMES, split_groups=r"scene_(\d+)_")
    scenes = {split: {name[:8] for name in found[split]} for split in SPLITS}
    assert sum(map(len, scenes.values())) == 40 == len(set().union(*scenes.values()))
    assert [len(found[split]) for split in SPLITS] == [140, 40, 20]
    assert parts(NAMES, split_groups=r"scene_\d+") == parts(NAMES, split_groups="scene_[0-9]+")  # without brackets


def test_large_groups_take_no_more_than_their_share_asks():
    sizes = {"a": 60, "b": 20, "c": 10, "d": 5, "e": 5}
    names = [f"{group}_{index}" for group, size in sizes.items() for index in range(size)]
    for seed in range(20):
        found = parts(names, split_groups="/([a-e])_", split_seed=seed)
        assert all(found.values())
        owners = {}
        for split, members in found.items():
            for name in members:
                assert owners.setdefault(name[0], split) == split


def test_new_files_move_few_of_the_others():
    before, after = parts(NAMES), parts([*NAMES, *(f"new_{index}" for index in range(20))])
    moved = [name for split in SPLITS for name in before[split] if name not in after[split]]
    assert len(moved) <= 6  # borders move by a tenth of a share


@pytest.mark.parametrize("count", range(1, 12))
def test_each_split_with_a_share_has_a_file_if_there_are_enough(count):
    found = parts(NAMES[:count], split_fractions=(0.8, 0.1, 0.1)) if count > 2 else {}
    assert all(found.values()) and (count <= 2 or sum(map(len, found.values())) == count)
    two = Division.of_options((0.8, 0.2), None, None, None)
    if count > 1:
        assert len(two.part(pairs(NAMES[:count]), "validation", "/data")) >= 1
        with pytest.raises(ValueError, match="`split_fractions` must give a group to 'test'; there are"):
            two.part(pairs(NAMES[:count]), "test", "/data")


@pytest.mark.parametrize("options, error, said", [
    ({"split_fractions": (0.8, 0.1)}, ValueError, "`split_fractions` must add up to 1"),
    ({"split_fractions": 0.8}, TypeError, "`split_fractions` must be the shares of ('train', 'validation', 'test')"),
    ({"split_fractions": (1.2, -0.2)}, ValueError, "`split_fractions` must be a number between 0 and 1"),
    ({"split_groups": "("}, ValueError, "`split_groups` must be a regular expression"),
    ({"split_groups": "nothing"}, ValueError,
     "`split_groups` must match the path of every image; 'images/scene_00_tile_0.jpg' has no match"),
    ({"split_seed": -1}, ValueError, "`split_seed` must be an integer of at least 0"),
    ({"split_lists": "train.txt"}, ValueError, "`split_lists` must hold {split}, or be a dict from split to path"),
])
def test_illegal_options_are_refused_by_the_sentence(options, error, said):
    with pytest.raises(error) as failure:
        parts(NAMES, **options)
    assert str(failure.value).startswith(said)


@pytest.fixture
def folder(tmp_path):
    """Twelve pairs without splits."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for index in range(12):
        Image.fromarray(np.full((4, 6, 3), index, np.uint8)).save(tmp_path / "images" / f"s{index // 3}_{index}.png")
        Image.fromarray(np.full((4, 6), index % 2, np.uint8)).save(tmp_path / "masks" / f"s{index // 3}_{index}.png")
    return tmp_path


def test_a_folder_without_splits_is_divided_alike_in_every_process_and_says_so_once(folder, caplog):
    code = ("import sys, json, kseg; print(json.dumps([[pair[0] for pair in kseg.data.source('folder', split, "
            "data_dir=sys.argv[1]).pairs] for split in ('train', 'validation', 'test')]))")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)
    other = json.loads(done.stdout)
    here = [[pair[0] for pair in sources.source("folder", split, data_dir=str(folder)).pairs] for split in SPLITS]
    assert here == other and list(map(len, here)) == [10, 1, 1]
    assert caplog.text.count("has no splits: kseg takes 80% of its 12 pairs for training, 10% for validation and 10% "
                             "for test, by a hash of their names. Pass split_fractions") == 1
    batches = kseg.data.load("folder", "train", data_dir=str(folder), batch_size=5)
    assert next(iter(batches))[0].shape == (5, 4, 6, 3)


def test_shares_that_are_asked_for_are_not_logged(folder, caplog):
    for split in SPLITS:
        source = sources.source("folder", split, data_dir=str(folder), split_fractions=[0.5, 0.25, 0.25],
                                split_groups=r"(s\d)_")
        assert len(source) == {"train": 6}.get(split, 3)
    assert "no splits" not in caplog.text


def test_shares_are_refused_where_folders_or_lists_say_the_split(folder):
    for split in ("train", "val"):
        (folder / "images" / split).mkdir()
        (folder / "masks" / split).mkdir()
        for part in ("images", "masks"):
            (folder / part / "s0_0.png").rename(folder / part / split / "a.png")
            (folder / part / "s0_1.png").exists() and (folder / part / "s0_1.png").rename(folder / part / "s0_0.png")
    with pytest.raises(ValueError) as failure:
        sources.source("folder", data_dir=str(folder), split_seed=3)
    assert str(failure.value) == (
        "`split_seed` must be left out where folders are named after splits (images/{split}/*), got split_seed=3. Pass "
        "the folder to be divided as data_dir, or image_pattern and label_pattern without {split}.")


def listed(folder, split="train", **options):
    return [path.split("/")[-1] for path, _ in sources.source("folder", split, data_dir=str(folder), **options).pairs]


@pytest.mark.parametrize("lines", [
    "s1_3\ns0_1\n", "s1_3.png\n\n# a remark\ns0_1.jpg", "images/s1_3.png\n./images/s0_1.png\n",
    "\ufeffs1_3\r\ns0_1\r\n",
    "images/s1_3.png masks/s1_3.png\nimages/s0_1.png\tmasks/s0_1.png", "images/s1_3.png, masks/s1_3.png\ns0_1"])
def test_lists_say_what_a_split_holds(folder, lines):
    (folder / "train.txt").write_text(lines, encoding="utf-8")
    assert listed(folder) == ["s1_3.png", "s0_1.png"]
    with pytest.raises(FileNotFoundError, match="`split_lists` must hold a list of split 'validation'"):
        listed(folder, "validation")


def test_lists_of_other_names_and_places(folder):
    (folder / "fold 1").mkdir()
    (folder / "fold 1" / "train.txt").write_text("s1_3\n")
    (folder / "fold 1" / "val.txt").write_text("s1_4\n")
    assert listed(folder, split_lists="fold 1/{split}.txt") == ["s1_3.png"]
    assert listed(folder, "validation", split_lists="fold 1/{split}.txt") == ["s1_4.png"]
    assert listed(folder, "test", split_lists={"test": "fold 1/val.txt"}) == ["s1_4.png"]
    assert len(listed(folder)) == 10  # not taken unasked
    with pytest.raises(ValueError, match="`split_fractions` must be left out where the lists"):
        listed(folder, split_lists="fold 1/{split}.txt", split_fractions=(0.5, 0.5))


def test_lists_of_pairs_need_no_layout(folder):
    (folder / "images").rename(folder / "x")
    (folder / "masks").rename(folder / "y")
    (folder / "train.txt").write_text("x/s1_3.png y/s1_3.png\n")
    assert listed(folder) == ["s1_3.png"]


def test_lists_may_name_a_few_of_unpaired_files(folder):
    (folder / "masks" / "s0_0.png").unlink()
    (folder / "train.txt").write_text("s1_3\n")
    assert listed(folder) == ["s1_3.png"]


def test_lines_that_name_no_pair_or_several_are_refused_by_the_sentence(folder):
    path = folder / "train.txt"
    path.write_text("s1_3\nmissing\nx/s1_4.png\n")
    with pytest.raises(ValueError) as failure:
        listed(folder)
    assert str(failure.value) == (
        f"`split_lists` must name one image with a label file per line; 2 of 3 lines of {str(path)!r} do not, the "
        "first names none, got split_lists='missing'. Correct the list, or pass image_pattern and label_pattern of "
        "the files it names.")
    for part in ("images", "masks"):
        for place in ("a", "b"):
            (folder / part / place).mkdir()
        for file in sorted((folder / part).glob("*.png")):
            (folder / part / "b" / file.name).write_bytes(file.read_bytes())
            file.rename(folder / part / "a" / file.name)
    path.write_text("a/s1_3\ns1_3\n".replace("a/", "images/a/"))
    with pytest.raises(ValueError, match="the first is the name of several, got split_lists='s1_3'. Write paths below"):
        listed(folder)
