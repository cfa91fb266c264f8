"""Which datasets exist, what they are called, where their files come from, and what reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from datasets.download import MissingData, Remote, check_recorded, fetch
from datasets.interactions import DataError, Interactions
from datasets.protocol import Filter
from datasets.publishers import amazon, movielens
from datasets.readers.columns import utc_clock
from datasets.readers.delimited import Layout, read_delimited, read_table
from datasets.readers.json_lines import Fields, read_json_lines

READING_VERSION = 1
"""Part of the keys of cached splits: raise it whenever the same file is read as other interactions."""


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

    `reader`: what reads the published files, all interactions in file order. `released_filter`: the filter of the
    paper's released code. `page`: the web page with its terms. `table`: what a prepared table is called, if not as the
    dataset. Without `published` files it is generated (`datasets.synthetic`).
    """

    name: str
    title: str
    published: tuple[Published, ...] = ()
    released_filter: Filter = "none"
    remote: Remote | None = None
    page: str = ""
    table: str = ""
    reader: Callable[[Path], Interactions] | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of a prepared table of interactions (`read_table`), preferred to the publisher's files."""
        return _or_gzip(f"{self.table or self.name}.csv")

    @property
    def files(self) -> tuple[str, ...]:
        """Every accepted file name, in order of preference."""
        return self.tables + tuple(name for file in self.published for name in file.names)

    @property
    def is_synthetic(self) -> bool:
        """Whether the data is generated, in which case no file has to be located."""
        return not self.published


def _or_gzip(*names: str) -> tuple[str, ...]:
    return tuple(each for name in names for each in (name, f"{name}.gz"))


_SNAP = "https://snap.stanford.edu/data"
_AMAZON_2014 = f"{_SNAP}/amazon/productGraph"
_AMAZON_2018 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall"
_GROUPLENS = "https://files.grouplens.org/datasets/movielens"

# Yelp Open Dataset: the reviews plain, gzip, or inside the published tar or zip; their texts are streamed past.
_YELP_REVIEWS = "yelp_academic_dataset_review.json"
_YELP = Fields(user="user_id", item="business_id", time="date", clock=utc_clock("0000-00-00 00:00:00"))

# Gowalla check-ins (Cho, Myers and Leskovec 2011), each user's newest first: user, time, latitude, longitude, location.
_GOWALLA = Layout(user=0, item=4, time=1, fields=5, delimiter="\t", clock=utc_clock("0000-00-00T00:00:00Z"))

# Behance (He, Fang, Wang and McAuley 2016), who appreciated which project: user, project, Unix seconds.
_BEHANCE = Layout(user=0, item=1, time=2, fields=3, delimiter=" ")

_YELP_ARCHIVES = ("yelp_dataset.tar", "yelp_dataset.tgz", "yelp_dataset.zip", "Yelp-JSON.zip")
_KINDLE_DIGEST = "sha256:616edbb9ee9b5e1f0212e0a75e226df3abb66548d833df3ea8a3c53942541200"  # as OmniRec's loader has it
_KINDLE_REMARK = (
    "has fewer interactions than the data published with the released filter (1,256,065), which therefore came from "
    "ratings_Kindle_Store.csv; use that file to compare with the paper"
)

_MOVIELENS = {  # size: files beside the archive, (interactions, users, items), and the archive's .md5 as published
    "100k": (("u.data", "ml-100k-u.data", "ml-100k/u.data"), (100_000, 943, 1_682), "0e33842e24a9c977be4e0107933c0723"),
    "1m": (("ratings.dat", "ml-1m/ratings.dat"), (1_000_209, 6_040, 3_706), "c4d9eecfca2ab87c1945afe126590906"),
    "10m": (("ml-10M100K/ratings.dat",), (10_000_054, 69_878, 10_677), "ce571fd55effeba0271552578f2648bd"),
    "20m": (("ml-20m/ratings.csv",), (20_000_263, 138_493, 26_744), "cd245b17a1ae2cc31bb14903e1204af3"),
    "25m": (("ml-25m/ratings.csv",), (25_000_095, 162_541, 59_047), "6b51fb2759a8657d3bfcbfc42b592ada"),
    "32m": (("ml-32m/ratings.csv",), (32_000_204, 200_948, 84_432), "d472be332d4daa821edc399621853b57"),
}


def _movielens(size: str) -> Dataset:
    (files, counts, md5), archive = _MOVIELENS[size], f"ml-{size}.zip"
    return Dataset(
        name=f"ml-{size}",
        title=f"ML-{size.upper()}",
        reader=movielens.read,
        published=(Published((archive, *files), counts, verified=size in ("100k", "1m")),),
        remote=Remote(f"{_GROUPLENS}/{archive}", f"md5:{md5}", verified=True),
        page=f"https://grouplens.org/datasets/movielens/{size}/",
    )


def _amazon(year: str, category: str, *counts: str) -> Dataset:
    """A category of Amazon's; Toys_and_Games is called "amazon-toys", "Amazon Toys and Games"."""
    short = category.partition("_and_")[0].lower().replace("_", "-").removeprefix("amazon-")
    title = category.replace("AMAZON_FASHION", "Fashion").replace("_", " ").removeprefix("Amazon ")
    if year == "2018":
        files = _or_gzip(f"{category}_5.json", f"{category}.csv", f"{category}.json")
        return Dataset(
            name=f"amazon-{short}-2018",
            title=f"Amazon {title} 2018",
            reader=amazon.read_five_core,
            published=(Published(files),),
            remote=Remote(f"{_AMAZON_2018}/{category}.csv"),
            page="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
        )
    interactions, users, items = map(int, counts)  # of the 5-core, as others report them
    core = Published(_or_gzip(f"reviews_{category}_5.json"), (interactions, users, items))
    return Dataset(
        name=f"amazon-{short}",
        title=f"Amazon {title}",
        reader=amazon.read_five_core,
        published=(core, replace(core, names=_or_gzip(f"ratings_{category}.csv"))),
        remote=Remote(f"{_AMAZON_2014}/categoryFiles/ratings_{category}.csv"),
        page=_AMAZON_2014,
        table="amazon-books-all" if category == "Books" else "",  # amazon-books.csv.gz is the sample below
    )


_AMAZON = [_amazon(*line.split(",")) for line in (Path(__file__).parent / "amazon.csv").read_text("ascii").split()[1:]]
_BEAUTY, _KINDLE = (
    next(each for each in _AMAZON if each.name == name) for name in ("amazon-beauty", "amazon-kindle-store")
)

_ALL = (
    # The paper's five.
    _movielens("1m"),
    replace(
        _BEAUTY,
        name="beauty",
        title="Beauty",
        published=(replace(_BEAUTY.published[0], verified=True), _BEAUTY.published[1]),
        remote=Remote(f"{_AMAZON_2014}/categoryFiles/reviews_Beauty_5.json.gz"),
    ),
    Dataset(
        name="yelp",
        title="Yelp",
        reader=partial(read_json_lines, fields=_YELP, member=_YELP_REVIEWS),
        published=(Published((*_or_gzip(_YELP_REVIEWS), *_YELP_ARCHIVES)),),
        released_filter="one-pass",
        page="https://www.yelp.com/dataset (accept the terms there)",
    ),
    Dataset(
        name="gowalla",
        title="Gowalla",
        reader=partial(read_delimited, layout=_GOWALLA),
        published=(Published(_or_gzip("loc-gowalla_totalCheckins.txt"), (6_442_892, 107_092, 1_280_969)),),
        released_filter="one-pass",
        remote=Remote(f"{_SNAP}/loc-gowalla_totalCheckins.txt.gz"),
        page="https://snap.stanford.edu/data/loc-Gowalla.html",
    ),
    replace(
        _KINDLE,
        name="kindle-store",
        title="Kindle Store",
        reader=amazon.read,
        published=(
            Published(_or_gzip("ratings_Kindle_Store.csv"), (3_205_467, 1_406_890, 430_530)),
            replace(_KINDLE.published[0], remark=_KINDLE_REMARK),
        ),
        released_filter="one-pass",
        remote=Remote(f"{_AMAZON_2014}/categoryFiles/ratings_Kindle_Store.csv", _KINDLE_DIGEST),
    ),
    # Generated data.
    Dataset(name="synthetic", title="Synthetic"),
    # Others, read and split in the same way.
    Dataset(
        name="behance",
        title="Behance",
        reader=partial(read_delimited, layout=_BEHANCE),
        published=(Published(_or_gzip("Behance_appreciate_1M"), (1_000_000, 63_497, 178_788)),),
        released_filter="one-pass",  # as for the paper's other datasets that are published whole
        remote=Remote("https://datarepo.eng.ucsd.edu/mcauley_group/gdrive/behance/Behance_appreciate_1M.gz"),
        page="https://cseweb.ucsd.edu/~jmcauley/datasets.html",
    ),
    *(_movielens(size) for size in _MOVIELENS if size != "1m"),
    Dataset(
        name="books-sample",
        title="Books (sample)",
        reader=read_table,
        published=(Published(_or_gzip("amazon-books.csv"), (517_167, 38_234, 38_519), verified=True),),
        page=f"{_AMAZON_2014} (a million users of its Books, drawn at random, and then the 5-core of what they rated)",
    ),
    *_AMAZON,
)

PAPER_DATASETS = ("ml-1m", "beauty", "yelp", "gowalla", "kindle-store")
"""Those whose results the paper prints, in its order."""

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
    source = f"get it from {dataset.page}" if dataset.remote is None else f"download {dataset.remote.url}"
    raise MissingData(
        f"{dataset.name}: no file in {data_dir}; {source} and put it into {data_dir}; "
        f"accepted names: {', '.join(dataset.files)}"
    )


def read_interactions(path: Path, dataset: Dataset | None = None) -> Interactions:
    """Read what `locate` found for the dataset, or, without one, anybody's table.

    Raises DataError (one line) if the file cannot be used or, for a publisher's own file, is not all there.
    """
    if dataset is None or path.name in dataset.tables:
        return read_table(path)
    assert dataset.reader, "generated data has no file"
    data = dataset.reader(path)
    names = {Path(name).name: published for published in dataset.published for name in published.names}
    return _checked(data, names[path.name], path) if path.name in names else data


def _checked(data: Interactions, published: Published, path: Path) -> Interactions:
    """The data with notes on what to know about the file; DataError if a part of it is missing."""
    notes = list(data.notes)
    if published.remark:
        notes.append(published.remark)
    found = (len(data), data.n_users, data.n_items)
    if published.counts not in (None, found):
        expected = "{:,} interactions of {:,} users with {:,} items".format(*published.counts)
        message = f"holds {'{:,}, {:,} and {:,}'.format(*found)} instead of {expected}"
        if published.verified:
            raise DataError(f"{path}: {message}; fetch it again, or give your own version as a table (--interactions)")
        notes.append(f"{message} (as others report; it could not be checked here): is it another version of the file?")
    return replace(data, notes=tuple(notes))
