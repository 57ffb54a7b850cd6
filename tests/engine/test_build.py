from pathlib import Path

import pytest

from dense.engine.build import build, load_config, parse_options
from dense.errors import InputError
from tests.datasets.made import make_segmentation

CONFIG = Path(__file__).parent / "configs" / "stub_segment.py"


class Room:
    def __init__(self, walls: list[object], *, height: float = 2.5) -> None:
        self.walls, self.height = walls, height


class Wall:
    def __init__(self, colour: str) -> None:
        self.colour = colour


def paint(colours: list[Wall]) -> str:
    return " ".join(wall.colour for wall in colours)


class TestBuild:
    def test_children_first(self) -> None:
        red, plain = {"type": Wall, "colour": "red"}, {"colour": "none"}
        room = build({"type": Room, "walls": [red, plain], "height": 3.0})
        assert isinstance(room, Room)
        assert (room.height, room.walls[1]) == (3.0, plain)
        assert isinstance(room.walls[0], Wall) and room.walls[0].colour == "red"
        assert red == {"type": Wall, "colour": "red"}

    def test_functions_and_tuples(self) -> None:
        assert build(({"type": paint, "colours": [{"type": Wall, "colour": "red"}]}, 2)) == (
            "red",
            2,
        )

    def test_misspelt_argument(self) -> None:
        with pytest.raises(InputError, match=r"unknown argument of Room 'hight': .* height"):
            build({"type": Room, "walls": [], "hight": 2})

    def test_missing_argument(self) -> None:
        with pytest.raises(InputError, match=r"Wall cannot be built .* 'colour'"):
            build({"type": Room, "walls": [{"type": Wall}]})

    def test_type_by_name(self) -> None:
        with pytest.raises(
            InputError, match="class or function imported by the config, got 'Wall'"
        ):
            build({"type": "Wall"})


class TestLoadConfig:
    def test_data_root_is_replaced_everywhere(self) -> None:
        cfg = load_config(CONFIG, data_root="/there")
        assert cfg.data_root == cfg.dataset.root == cfg.test_dataloader.dataset.root == "/there"
        assert cfg.model.method.classes.dataset.root == "/there"

    def test_paths_below_the_data_root_follow(self, tmp_path: Path) -> None:
        text = 'from torch import nn\ndata_root = "data/a"\nx = dict(p="data/a/b", q="data/ab")\n'
        (tmp_path / "below.py").write_text(text)
        cfg = load_config(tmp_path / "below.py", data_root="/there")
        assert cfg.x == {"p": "/there/b", "q": "data/ab"}

    def test_overrides(self) -> None:
        overrides = {"model.method.choice": 1, "test_dataloader.batch_size": 7}
        cfg = load_config(CONFIG, overrides)
        assert (cfg.model.method.choice, cfg.test_dataloader.batch_size) == (1, 7)

    def test_unknown_override(self) -> None:
        with pytest.raises(InputError, match=r"'modle\.method': .*model\.method"):
            load_config(CONFIG, {"modle.method": 1})
        with pytest.raises(InputError, match=r"unknown config key 'data_rot': .*data_root"):
            load_config(CONFIG, {"data_rot": "x"})

    def test_misspelt_override_of_an_argument_is_refused_when_built(self, tmp_path: Path) -> None:
        cfg = load_config(CONFIG, {"model.method.choise": 1}, data_root=make_segmentation(tmp_path))
        with pytest.raises(InputError, match=r"'choise': .* choice"):
            build(cfg.model)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such config"):
            load_config(tmp_path / "gone.py")

    @pytest.mark.parametrize("name", ["config.yaml", "two-words.py"])
    def test_not_a_config(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("")
        with pytest.raises(InputError, match="is not a config"):
            load_config(tmp_path / name)

    @pytest.mark.parametrize("text", ["import torch\nx = (", "from torch import nn\nx = undefined"])
    def test_broken_config(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "broken.py").write_text(text)
        with pytest.raises(InputError, match="cannot read the config"):
            load_config(tmp_path / "broken.py")

    def test_data_root_of_a_config_without(self, tmp_path: Path) -> None:
        (tmp_path / "bare.py").write_text("from torch import nn\nx = 1\n")
        with pytest.raises(InputError, match="has no data_root"):
            load_config(tmp_path / "bare.py", data_root="x")


def test_parse_options() -> None:
    options = ["a.b=3", "c=(2, 3)", "d=true", "e=data/x=y", "f='7'", "g=None"]
    assert parse_options(options) == {
        "a.b": 3,
        "c": (2, 3),
        "d": True,
        "e": "data/x=y",
        "f": "7",
        "g": None,
    }
    for bad in ("abc", "=3"):
        with pytest.raises(InputError, match="expected KEY=VALUE"):
            parse_options([bad])
