"""Writers of miniature data sets in their official layouts, for tests that need real files.

Images are noise with a few bright squares; half of each observer's fixations scatter around the
squares, so that there is something to learn. All of it depends on the seed and the name only.
"""

import csv
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SR_IDS = (1, 10, 16, 22, 27, 37, 46, 51, 57, 63, 68, 73)
OSIE_SIZE = (600, 800)  # what OSIE's fixations refer to, whatever the size of the image files
MILLISECONDS = 250.0  # what the first fixation of a trial lasts; the next lasts one longer, …


def _random(name, seed):
    return np.random.default_rng([seed, zlib.crc32(str(name).encode())])


def squares(name, seed=0, n=4):
    """Centres (n, 2) as x, y in 0…1 and half side of the squares of stimulus `name`."""
    return _random(name, seed).uniform(0.15, 0.85, (n, 2)), 0.08


def write_image(path, size, seed=0):
    """An RGB image of (height, width) `size` with bright squares."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    random = _random(path.stem, seed + 1)
    picture = random.integers(0, 90, (height, width, 3), dtype=np.uint8)
    centres, half = squares(path.stem, seed)
    for (x, y), colour in zip(centres, random.integers(120, 256, (len(centres), 3)), strict=True):
        rows, columns = _span(y, half, height), _span(x, half, width)
        picture[rows, columns] = colour
    Image.fromarray(picture).save(path)


def alter(path):
    """Make a file another one that reads the same: a line break more at its end."""
    with path.open("ab") as file:
        file.write(b"\n")


def _span(centre, half, length):
    return slice(max(0, int((centre - half) * length)), int((centre + half) * length) + 1)


def gaze(name, size, observers, each=6, seed=0):
    """Random fixations: a list over observers of (each, 2) x, y in pixels of (height, width)."""
    random = _random(name, seed + 2)
    centres, half = squares(name, seed)
    picked = centres[random.integers(0, len(centres), (observers, each))]
    near = picked + random.normal(0, half / 2, picked.shape)
    far = random.uniform(0, 1, picked.shape)
    chosen = np.where(random.uniform(size=(observers, each, 1)) < 0.5, near, far)
    return list(np.clip(chosen, 0, 0.999) * [size[1], size[0]])


def cell(items):
    """An n×1 Matlab cell of `items`."""
    box = np.empty((len(items), 1), dtype=object)
    for k, item in enumerate(items):
        box[k, 0] = item
    return box


def save_osie_gaze(path, by_image):
    """OSIE's fixations.mat from {file name: list over observers of (N, 2) x, y in sequence}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    structs = [
        {
            "img": name,
            "subjects": cell(
                [
                    {
                        "fix_x": xy[:, 0].reshape(1, -1),
                        "fix_y": xy[:, 1].reshape(1, -1),
                        "fix_duration": MILLISECONDS + np.arange(len(xy)).reshape(1, -1),
                    }
                    for xy in observers
                ]
            ),
        }
        for name, observers in by_image.items()
    ]
    savemat(path, {"fixations": cell(structs)})


def write_osie(folder, n=12, size=(600, 800), seed=0, observers=15, ids=None):
    """OSIE's official layout: `stimuli/`, `eye/fixations.mat`; returns {name: observers' x, y}.

    Without `ids`, a third of the images each has ids of the train, val and test split. Fixations
    are in pixels of 600×800, whatever `size` the images have, as if they had been shrunk.
    """
    folder = Path(folder)
    thirds = [(k // 3) + (1001, 1401, 1501)[k % 3] for k in range(n)]
    found = {}
    for number in sorted(ids or thirds):
        write_image(folder / "stimuli" / f"{number}.jpg", size, seed)
        found[str(number)] = gaze(number, OSIE_SIZE, observers, seed=seed)
    save_osie_gaze(folder / "eye" / "fixations.mat", {f"{k}.jpg": v for k, v in found.items()})
    return found


CROWD_SIZE = (768, 1024)  # what Crowd's fixations and boxes refer to
FACE_FIELDS = ("isFrontalFace", "isProfileFace", "isBackFace", "isOccluded")
FACE_ATTRIBUTES = ("frontal", "profile", "back", "occluded")


def face(left, top, width, height, *attributes):
    """A labelled face as Crowd's labels.mat has it; attributes of `FACE_ATTRIBUTES`."""
    box = {"left": left, "top": top, "width": width, "height": height}
    centre = np.array([[int(left + width / 2), int(top + height / 2)]])
    named = zip(FACE_FIELDS, FACE_ATTRIBUTES, strict=True)
    return {**box, "center": centre, **{f: int(a in attributes) for f, a in named}}


def save_labels(path, by_image):
    """Crowd's labels.mat from {file name: list of `face`s}."""
    structs = [
        {"img": name, "nFaces": len(faces), "faces": cell(faces)}
        for name, faces in by_image.items()
    ]
    savemat(path, {"labels": cell(structs)})


def write_crowd(folder, n=6, size=CROWD_SIZE, seed=0, observers=16):
    """Crowd's official layout, images 001, 003, …; returns {name: (observers' x, y, faces)}.

    The squares are the faces, frontal and profile in turn, the last occluded.
    """
    folder, found = Path(folder), {}
    height, width = CROWD_SIZE
    for number in range(1, 2 * n, 2):
        name = f"{number:03}"
        write_image(folder / "stimuli" / f"{name}.jpg", size, seed)
        centres, half = squares(name, seed)
        boxes = [
            ((x - half) * width, (y - half) * height, 2 * half * width, 2 * half * height)
            for x, y in centres
        ]
        faces = [face(*box, FACE_ATTRIBUTES[k % 2]) for k, box in enumerate(boxes[:-1])]
        faces.append(face(*boxes[-1], "back", "occluded"))
        found[name] = (gaze(name, CROWD_SIZE, observers, seed=seed), faces)
    save_osie_gaze(folder / "eye" / "fixations.mat", {f"{k}.jpg": v for k, (v, _) in found.items()})
    save_labels(folder / "labels.mat", {f"{k}.jpg": v for k, (_, v) in found.items()})
    return found


def write_osie_sr(folder, osie, seed=0):
    """OSIE-SR's masks for the images of the OSIE folder `osie`: its squares, all ids in turn."""
    folder, turn = Path(folder), 0
    for kind in ("SegmentationClass", "SegmentationObject"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for path in sorted((Path(osie) / "stimuli").glob("*.jpg")):
        width, height = Image.open(path).size
        classes, objects = np.zeros((2, height, width), dtype=np.uint8)
        centres, half = squares(path.stem, seed)
        for k, (x, y) in enumerate(centres):
            rows, columns = _span(y, half, height), _span(x, half, width)
            classes[rows, columns], objects[rows, columns] = SR_IDS[turn % 12], k + 1
            turn += 1
        save_mask(folder / "SegmentationClass" / f"{path.stem}.png", classes)
        save_mask(folder / "SegmentationObject" / f"{path.stem}.png", objects)


def save_mask(path, indices):
    """A palette PNG, as labelme writes it."""
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putdata(indices.astype(np.uint8).ravel().tolist())
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)


def save_salicon_gaze(path, observers, resolution=(480, 640)):
    """SALICON's .mat of one image from a list over observers of (N, 2) x, y, counted from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = [("location", object), ("timestamp", object), ("fixations", object)]
    structs = np.empty((len(observers), 1), dtype=kind)
    for k, xy in enumerate(observers):
        structs[k, 0] = (np.repeat(xy, 3, axis=0), np.arange(3.0 * len(xy)).reshape(-1, 1), xy)
    savemat(path, {"gaze": structs, "resolution": np.array([resolution], dtype=np.float64)})


def write_salicon(folder, n=(6, 3, 2), size=(480, 640), seed=0, observers=10, form="mat"):
    """SALICON's layout with `n` train, val and test images; `form` is "mat" or "json".

    Returns {name: list over observers of (N, 2) x, y} as in the files: whole, counted from 1.
    """
    folder, found = Path(folder), {}
    for split, count in zip(("train", "val", "test"), n, strict=True):
        names = [f"COCO_{split}2014_{k + 1:012d}" for k in range(count)]
        for name in names:
            write_image(folder / "images" / split / f"{name}.jpg", size, seed)
        if split == "test":
            continue
        here = {m: [np.floor(t) + 1 for t in gaze(m, size, observers, seed=seed)] for m in names}
        save_salicon_split(folder, split, here, size, form)
        found |= here
    return found


def save_salicon_split(folder, split, by_image, size=(480, 640), form="mat"):
    """The fixations of one split from {name: list over observers of x, y counted from 1}."""
    if form == "mat":
        for name, observers in by_image.items():
            save_salicon_gaze(folder / "fixations" / split / f"{name}.mat", observers, size)
        return
    images, annotations = [], []
    for k, (name, observers) in enumerate(by_image.items()):
        shape = {"height": size[0], "width": size[1]}
        images.append({"id": 100 + k, "file_name": f"{name}.jpg", **shape})
        for worker, xy in enumerate(observers):
            yx = xy[:, ::-1].tolist()
            annotations.append({"image_id": 100 + k, "worker_id": 7 * worker, "fixations": yx})
    text = json.dumps({"images": images, "annotations": annotations})
    (folder / f"fixations_{split}2014.json").write_text(text)


def points_map(name, size, seed=0, observers=15):
    """Pixels (H, W), bool, that anybody fixated: CAT2000's and MIT1003's way to tell of gaze."""
    x, y = np.concatenate(gaze(name, size, observers, seed=seed)).astype(int).T
    marked = np.zeros(size, dtype=bool)
    marked[y, x] = True
    return marked


def write_mit1003(folder, n=4, size=(60, 80), seed=0):
    """MIT1003's layout, its points maps as Matlab saves JPEG, the stray file among them.

    Returns {name: pixels that were fixated}.
    """
    folder, found = Path(folder), {}
    stray = "i05june05_static_street_boston_p1010764"
    maps = folder / "ALLFIXATIONMAPS"
    maps.mkdir(parents=True, exist_ok=True)
    for name in (stray, *(f"i{100 + k}" for k in range(n - 1))):
        write_image(folder / "ALLSTIMULI" / f"{name}.jpeg", size, seed)
        found[name] = points_map(name, size, seed)
        points = Image.fromarray(found[name].astype(np.uint8) * 255)
        points.save(maps / f"{name}_fixPts.jpg", quality=75)
        points.save(maps / f"{name}_fixMap.jpg", quality=75)
    Image.new("L", size[::-1], 255).save(maps / f"{stray}fixPts.jpg")
    return found


def write_cat2000(folder, n=3, size=(60, 80), seed=0):
    """CAT2000's training set, `n` images of each of two categories, those of one grey.

    Returns {name: pixels that were fixated}.
    """
    train, found = Path(folder) / "trainSet", {}
    for category in ("Action", "LineDrawing"):
        for k in range(1, n + 1):
            name = f"{category}/{k:03}"
            path = train / "Stimuli" / f"{name}.jpg"
            write_image(path, size, seed)
            if category == "LineDrawing":
                Image.open(path).convert("L").save(path)
            found[name] = points_map(name, size, seed)
            save_points(train / "FIXATIONLOCS" / f"{name}.mat", found[name])
            write_image(train / "Stimuli" / category / "Output" / f"{k:03}_SaliencyMap.jpg", size)
    write_image(train / "Stimuli" / "Output" / "001.jpg", size)
    return found


def save_points(path, marked):
    """CAT2000's FIXATIONLOCS file of one image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"fixLocs": marked.astype(np.uint8)})


FIGRIM_SIZE = (1000, 1000)


def seen_by(enc=(), rec=(), rec2=()):
    """One observer in FIGRIM's userdata: x, y of three showings, counted from 1."""
    looks = {"enc": enc, "rec": rec, "rec2": rec2}
    return np.array([[7.0]]), {k: np.reshape(v, (-1, 2)) for k, v in looks.items()}


UNSEEN = (np.zeros((0, 0)), np.zeros((0, 0)))
"""An observer in FIGRIM's userdata who did not see the image."""


def save_figrim_gaze(path, by_image):
    """FIGRIM's .mat from {file name: list of `seen_by` or `UNSEEN`, one an observer}."""
    images = np.empty((1, len(by_image)), dtype=[("filename", object), ("userdata", object)])
    for k, (file, people) in enumerate(by_image.items()):
        userdata = np.empty((1, len(people)), dtype=[("trial", object), ("fixations", object)])
        for j, person in enumerate(people):
            userdata[0, j] = person
        images[0, k] = (file, userdata)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"allImages": images})


def write_figrim(folder, n=3, size=FIGRIM_SIZE, seed=0, observers=5):
    """FIGRIM's layout, `n` targets and fillers each of two scenes; every fifth observer is absent.

    Returns {name: {showing: list over observers of x, y counted from 1}}.
    """
    folder, found = Path(folder), {}
    files = {"Targets": "allImages_release.mat", "Fillers": "allImages_fillers.mat"}
    for kind, file in files.items():
        by_image = {}
        for scene in ("airport_terminal", "tower"):
            for k in range(n):
                image = f"sun_{kind[0].lower()}{scene[0]}{k}"
                name = f"{kind}/{scene}/{image}"
                write_image(folder / f"{name}.jpg", size, seed)
                times = ("enc", "rec", "rec2") if kind == "Targets" else ("enc",)
                looks = {t: gaze(f"{name} {t}", FIGRIM_SIZE, observers, seed=seed) for t in times}
                absent = [j % 5 == k % 5 for j in range(observers)]
                by_image[f"{image}.jpg"] = [
                    UNSEEN if away else seen_by(**{t: looks[t][j] + 0.5 for t in times})
                    for j, away in enumerate(absent)
                ]
                found[name] = {
                    t: [v[:0] if away else v for v, away in zip(looks[t], absent, strict=True)]
                    for t in times
                }
        save_figrim_gaze(folder / file, by_image)
    return found


def write_folder(folder, n=6, size=(90, 120), seed=0, observers=3, suffix=".png"):
    """A user's own folder: images and fixations.csv; returns {name: observers' x, y}."""
    folder, found = Path(folder), {}
    for k in range(n):
        write_image(folder / f"photo{k}{suffix}", size, seed)
        found[f"photo{k}"] = gaze(f"photo{k}", size, observers, seed=seed)
    rows = [
        (name, x, y, observer)
        for name, trials in found.items()
        for observer, xy in enumerate(trials)
        for x, y in xy.tolist()
    ]
    save_table(folder / "fixations.csv", ("image", "x", "y", "observer"), rows)
    return found


def save_table(path, columns, rows):
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def assert_same_trials(fixations, trials, shift=0.0):
    """`fixations` are `trials` (a list over observers of (N, 2) x, y) less `shift`."""
    xy = np.stack([fixations.x.numpy(), fixations.y.numpy()], axis=1)
    for k, want in enumerate(trials):
        got = xy[fixations.observer.numpy() == k]
        np.testing.assert_allclose(got, np.reshape(want, (-1, 2)) - shift, rtol=0, atol=1e-9)
    assert len(fixations) == sum(map(len, trials))


P3_COLUMNS = ("path", "name", "bg_color", "t_pos", "t_x", "t_y", "t_ori", "d_ori")
O3_FEATURES = ("orientation", "color", "focus", "shape", "size", "location", "pattern")
O3_COLUMNS = ("image_name", "num_distractors", "target_type", "target_subtype", "target_size")
O3_COLUMNS += ("target_x", "target_y", *O3_FEATURES)


def write_odd_one_out(folder, name, size, odd=0):
    """`images/`, `targ_labels/`, `dist_labels/` of one image whose square number `odd` is odd.

    The suffix of `name` decides whether the masks are exact or have JPEG noise. Returns the odd
    square's centre, x and y in pixels, and both masks (H, W), bool.
    """
    write_image(folder / "images" / name, size)
    height, width = size
    centres, half = squares(Path(name).stem)
    masks = np.zeros((2, height, width), dtype=bool)
    for k, (x, y) in enumerate(centres):
        masks[int(k != odd), _span(y, half, height), _span(x, half, width)] = True
    masks[1] &= ~masks[0]
    for kind, mask in zip(("targ_labels", "dist_labels"), masks, strict=True):
        (folder / kind).mkdir(exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / kind / name, quality=95)
    return centres[odd] * [width, height], masks


def write_p3(folder, n=2, size=(70, 70)):
    """P3's layout with `n` patterns of each kind; returns {name: (x, y, masks)}."""
    folder, found = Path(folder), {}
    for kind in ("colors", "orientations", "sizes"):
        rows = []
        for k in range(n):
            file = f"image_circle_{90 + k}_20_36_16.png"
            (x, y), masks = write_odd_one_out(folder / kind, file, size)
            rows.append((kind, file, "#7f7f7f", 7 * k + 3, x, y, 0, 0))
            found[f"{kind}/{Path(file).stem}"] = (x, y, masks)
        save_table(folder / kind / "image_properties.txt", P3_COLUMNS, rows)
    return found


def write_o3(folder, n=3, size=(60, 80)):
    """O3's layout with `n` photographs; number k differs in k features; returns as `write_p3`."""
    folder, rows, found = Path(folder), [], {}
    for k in range(n):
        file = f"C4kfsNTXa2I{k}.jpg"
        (x, y), masks = write_odd_one_out(folder, file, size)
        differs = [int(j < k) for j in range(len(O3_FEATURES))]
        rows.append((file, 3, "", "tulip", 12, x, y, *differs))
        found[Path(file).stem] = (x, y, masks)
    save_table(folder / "image_properties.csv", O3_COLUMNS, rows)
    return found
