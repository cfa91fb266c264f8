"""Which datasets exist, what they are called and where their files come from; `datasets.reading` reads these."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from datasets.download import MissingData, Remote, check_recorded, fetch
from datasets.protocol import Filter


@dataclass(frozen=True)
class Published:
    """A file as its publisher offers it: the names it may have, and its (interactions, users, items) once read.

    `verified`: the publisher says so, or we have counted; counts that others report and that could not be checked only
    lead to a warning. `remark`: what to know before using the file.
    """

    names: tuple[str, ...]
    counts: tuple[int, int, int] | None = None
    verified: bool = False
    remark: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset: `title` as the paper prints it; `remote` is where its publisher offers a file.

    `released_filter`: the filter of the paper's released code. `page`: the web page with its terms. A dataset without
    `published` files is generated (`datasets.synthetic`).
    """

    name: str
    title: str
    published: tuple[Published, ...] = ()
    released_filter: Filter = "none"
    remote: Remote | None = None
    page: str = ""

    @property
    def tables(self) -> tuple[str, str]:
        """Names of a prepared table of interactions (`datasets.readers.table`), preferred to the publisher's files."""
        return f"{self.name}.csv", f"{self.name}.csv.gz"

    @property
    def files(self) -> tuple[str, ...]:
        """Every accepted file name, in order of preference."""
        return self.tables + tuple(name for file in self.published for name in file.names)

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is generated, in which case no file has to be located."""
        return not self.published

    def instructions(self, data_dir: Path) -> str:
        """What to do when no file is in `data_dir`, in one line."""
        source = f"get it from {self.page}" if self.remote is None else f"download {self.remote.url}"
        return f"{source} and put it into {data_dir}; accepted names: {', '.join(self.files)}"


def _plain_or_gzip(name: str) -> tuple[str, str]:
    return name, f"{name}.gz"


_SNAP = "https://snap.stanford.edu/data"
_AMAZON = f"{_SNAP}/amazon/productGraph/categoryFiles"
_BEAUTY_CORE = (198_502, 22_363, 12_101)

_ALL = (
    Dataset(
        name="ml-1m",
        title="ML-1M",
        published=(Published(("ml-1m.zip", "ratings.dat", "ml-1m/ratings.dat"), (1_000_209, 6_040, 3_706), True),),
        remote=Remote(
            "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
            "md5:c4d9eecfca2ab87c1945afe126590906",  # ml-1m.zip.md5, beside it
            verified=True,
        ),
        page="https://grouplens.org/datasets/movielens/1m/",
    ),
    Dataset(
        name="beauty",
        title="Beauty",
        published=(
            Published(_plain_or_gzip("reviews_Beauty_5.json"), _BEAUTY_CORE, verified=True),
            Published(_plain_or_gzip("ratings_Beauty.csv"), _BEAUTY_CORE),
        ),
        remote=Remote(f"{_AMAZON}/reviews_Beauty_5.json.gz"),
        page="https://snap.stanford.edu/data/amazon/productGraph/",
    ),
    Dataset(
        name="yelp",
        title="Yelp",
        published=(
            Published(
                (
                    *_plain_or_gzip("yelp_academic_dataset_review.json"),
                    "yelp_dataset.tar",
                    "yelp_dataset.tgz",
                    "yelp_dataset.zip",
                    "Yelp-JSON.zip",
                )
            ),
        ),
        released_filter="one-pass",
        page="https://www.yelp.com/dataset (accept the terms there)",
    ),
    Dataset(
        name="gowalla",
        title="Gowalla",
        published=(Published(_plain_or_gzip("loc-gowalla_totalCheckins.txt"), (6_442_892, 107_092, 1_280_969)),),
        released_filter="one-pass",
        remote=Remote(f"{_SNAP}/loc-gowalla_totalCheckins.txt.gz"),
        page="https://snap.stanford.edu/data/loc-Gowalla.html",
    ),
    Dataset(
        name="kindle-store",
        title="Kindle Store",
        published=(
            Published(_plain_or_gzip("ratings_Kindle_Store.csv"), (3_205_467, 1_406_890, 430_530)),
            Published(
                _plain_or_gzip("reviews_Kindle_Store_5.json"),
                (982_619, 68_223, 61_934),
                remark="has fewer interactions than the data published with the released filter (1,256,065), which "
                "therefore came from ratings_Kindle_Store.csv; use that file to compare with the paper",
            ),
        ),
        released_filter="one-pass",
        remote=Remote(
            f"{_AMAZON}/ratings_Kindle_Store.csv",
            "sha256:616edbb9ee9b5e1f0212e0a75e226df3abb66548d833df3ea8a3c53942541200",  # as OmniRec's loader has it
        ),
        page="https://snap.stanford.edu/data/amazon/productGraph/",
    ),
    Dataset(name="synthetic", title="Synthetic"),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}


def locate(dataset: Dataset, data_dir: Path, download: bool = False) -> Path:
    """The file to read the dataset from; `download` fetches it if it is absent and its publisher lets us.

    Raises MissingData with instructions if there is none, DataError if a downloaded file has changed since.
    """
    for name in dataset.files:
        path = data_dir / name
        if os.path.isfile(path):  # false, too, where the directory may not be searched
            check_recorded(path)
            return path
    if download and dataset.remote is not None:
        return fetch(dataset.remote, data_dir)
    raise MissingData(f"{dataset.name}: no file in {data_dir}; {dataset.instructions(data_dir)}")
