"""Shared fixtures: the public-domain portrait of scikit-image and its face mesh, cut to the network's face crop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from retouchgpt.core.geometry import face_alignment

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """The astronaut, uint8 (512, 512, 3)."""
    import skimage.data

    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def portrait_landmarks() -> NDArray[np.float32]:
    """Her face mesh, (478, 2) px of `portrait`, as mediapipe found it."""
    return np.load(FIXTURES / "astronaut_landmarks.npy").astype(np.float32)


@pytest.fixture(scope="session")
def face(portrait: Any, portrait_landmarks: Any) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Her face crop, uint8 (512, 512, 3), and its mesh in px of the crop."""
    alignment = face_alignment(portrait_landmarks, 512)
    crop = cv2.warpAffine(portrait, alignment.centre_matrix, (512, 512), flags=cv2.INTER_CUBIC)
    return crop, alignment.apply(portrait_landmarks).astype(np.float32)


@pytest.fixture(scope="session")
def faces_folder(face: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of aligned faces in the training data's layout, made of her face alone."""
    import json

    folder = tmp_path_factory.mktemp("faces")
    image, landmarks = face
    cv2.imwrite(str(folder / "a1.jpg"), image[..., ::-1])
    (folder / "index.json").write_text(json.dumps([{"id": "a1", "kind": "portrait", "size": 512}]))
    np.savez(folder / "landmarks.npz", a1=(landmarks / 512).astype(np.float16))
    return folder
