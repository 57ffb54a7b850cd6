"""The same made-up product in every layout of anomaly data.

Always 3 normal pictures for training, 2 normal and 2 defective ones for the test, the top left
quarter marked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.datasets.made import defect_mask, write
from tests.helpers import photo

MARK = defect_mask(32, 32)
EMPTY = np.zeros_like(MARK)


def pictures(folder: Path, number: int, suffix: str = ".png", first: int = 0) -> None:
    for i in range(first, first + number):
        write(folder / f"{i:03d}{suffix}", photo(32, 32, seed=i))


def in_folders(
    root: Path, test: str, good: str, bad: str, masks: str, *, inner: str = "", mask: str = "_mask"
) -> None:
    """`root/nut` in a layout that differs from MVTec AD's in names alone."""
    pictures(root / "nut" / "train" / good, 3)
    pictures(root / "nut" / test / good / inner, 2, first=10)
    pictures(root / "nut" / test / bad / inner, 2, first=20)
    for i in (20, 21):
        write(root / "nut" / masks / f"{i:03d}{mask}.png", MARK)


def loco(root: Path) -> None:
    pictures(root / "nut" / "train" / "good", 3)
    pictures(root / "nut" / "validation" / "good", 1)
    pictures(root / "nut" / "test" / "good", 2)
    for kind in ("logical_anomalies", "structural_anomalies"):
        pictures(root / "nut" / "test" / kind, 1)
        folder = root / "nut" / "ground_truth" / kind / "000"
        write(
            folder / "000.png", np.where(np.arange(32) < 16, MARK, 0).astype(np.uint8) // 255 * 90
        )
        write(folder / "001.png", np.where(np.arange(32) >= 8, MARK, 0).astype(np.uint8))


def visa(root: Path) -> None:
    rows = ["object,split,label,image,mask"]
    base = "nut/Data"
    pictures(root / base / "Images" / "Normal", 5, ".JPG")
    pictures(root / base / "Images" / "Anomaly", 3, ".JPG")
    for i in range(5):
        split = "train" if i < 3 else "test"
        rows.append(f"nut,{split},normal,{base}/Images/Normal/{i:03d}.JPG,")
    for i in range(2):
        write(root / base / "Masks" / "Anomaly" / f"{i:03d}.png", MARK // 255 * 3)
        files = f"{base}/Images/Anomaly/{i:03d}.JPG,{base}/Masks/Anomaly/{i:03d}.png"
        rows.append(f"nut,test,anomaly,{files}")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")


def real_iad(root: Path) -> None:
    base = root / "realiad_1024" / "nut"
    pictures(base / "OK" / "S0001", 5, ".jpg")
    pictures(base / "NG" / "HS", 2, ".jpg")
    pictures(root / "realiad_256" / "nut", 1)
    good = [
        {"category": "nut", "anomaly_class": "OK", "image_path": f"OK/S0001/{i:03d}.jpg"}
        for i in range(5)
    ]
    bad = []
    for i in range(2):
        write(base / "NG" / "HS" / f"{i:03d}.png", MARK)
        entry = {"category": "nut", "anomaly_class": "HS", "image_path": f"NG/HS/{i:03d}.jpg"}
        bad.append(entry | {"mask_path": f"NG/HS/{i:03d}.png"})
    good = [entry | {"mask_path": None} for entry in good]
    meta = {"normal_class": "OK", "prefix": "nut/"}
    content = {"meta": meta, "train": good[:3], "test": good[3:] + bad}
    (root / "realiad_jsons" / "realiad_jsons").mkdir(parents=True)
    (root / "realiad_jsons" / "realiad_jsons" / "nut.json").write_text(json.dumps(content))


def kolektor(root: Path) -> None:
    for split, labels in (("train", (0, 0, 1, 0)), ("test", (1, 0, 1, 0))):
        for i, label in enumerate(labels):
            write(root / split / f"{10000 + i}.png", photo(32, 32, seed=i))
            write(root / split / f"{10000 + i}_GT.png", MARK if label else EMPTY)


def dagm(root: Path) -> None:
    for split, labels in (("Train", (0, 0, 1, 0)), ("Test", (1, 0, 1, 0))):
        folder = root / "Class1" / split
        lines = ["1"]
        for i, label in enumerate(labels):
            write(folder / f"{i:04d}.PNG", photo(32, 32, seed=i))
            mask = f"{i:04d}_label.PNG" if label else "0"
            lines.append(f"{i}\t{label}\t{i:04d}.PNG\t0\t{mask}")
            if label:
                write(folder / "Label" / mask, MARK)
        (folder / "Label" / "Labels.txt").write_text("\n".join(lines))


def kinds(root: Path) -> None:
    pictures(root / "nut" / "Good", 5)
    pictures(root / "nut" / "broken", 1)
    pictures(root / "nut" / "scratch", 1)
    for kind in ("broken", "scratch"):
        write(root / "nut" / "ground_truth" / kind / "000_mask.png", MARK)


MAKERS: dict[str, Callable[[Path], None]] = {
    "mvtec": lambda root: in_folders(root, "test", "good", "cut", "ground_truth/cut"),
    "mvtec (BTAD)": lambda root: in_folders(root, "test", "ok", "ko", "ground_truth/ko", mask=""),
    "mvtec (MPDD)": lambda root: in_folders(root, "test", "good", "rust", "ground_truth/rust"),
    "mvtec (VisA converted)": lambda root: in_folders(
        root, "test", "good", "bad", "ground_truth/bad", mask=""
    ),
    "mvtec_ad_2": lambda root: in_folders(
        root, "test_public", "good", "bad", "test_public/ground_truth/bad"
    ),
    "bmad": lambda root: in_folders(
        root, "test", "good", "Ungood", "test/Ungood/label", inner="img", mask=""
    ),
    "mvtec_loco": loco,
    "visa": visa,
    "real_iad": real_iad,
    "kolektor": kolektor,
    "dagm": dagm,
    "kinds": kinds,
}
