"""Which datasets exist, what they are called and where their files come from; `datasets.reading` reads these."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datasets.download import MissingData, Remote, check_recorded, fetch
from datasets.interactions import Interactions
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

    `format`: which reader of `datasets.reading` takes the published files; `reader` reads them if none of these does.
    `released_filter`: the filter of the paper's
    released code. `page`: the web page with its terms. `table`: what a prepared table is called, if not as the dataset.
    A dataset without `published` files is generated (`datasets.synthetic`).
    """

    name: str
    title: str
    format: str = ""
    published: tuple[Published, ...] = ()
    released_filter: Filter = "none"
    remote: Remote | None = None
    page: str = ""
    table: str = ""
    reader: Callable[[Path], Interactions] | None = None

    @property
    def tables(self) -> tuple[str, str]:
        """Names of a prepared table of interactions (`datasets.readers.table`), preferred to the publisher's files."""
        return _plain_or_gzip(f"{self.table or self.name}.csv")

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
_AMAZON_2014 = f"{_SNAP}/amazon/productGraph"
_AMAZON_2018 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall"
_GROUPLENS = "https://files.grouplens.org/datasets/movielens"

_FIVE_CORES_2014 = {  # (interactions, users, items) of each category's 5-core, as others report them
    "Amazon_Instant_Video": (37_126, 5_130, 1_685),
    "Apps_for_Android": (752_937, 87_271, 13_209),
    "Automotive": (20_473, 2_928, 1_835),
    "Baby": (160_792, 19_445, 7_050),
    "Beauty": (198_502, 22_363, 12_101),
    "Books": (8_898_041, 603_668, 367_982),
    "CDs_and_Vinyl": (1_097_592, 75_258, 64_443),
    "Cell_Phones_and_Accessories": (194_439, 27_879, 10_429),
    "Clothing_Shoes_and_Jewelry": (278_677, 39_387, 23_033),
    "Digital_Music": (64_706, 5_541, 3_568),
    "Electronics": (1_689_188, 192_403, 63_001),
    "Grocery_and_Gourmet_Food": (151_254, 14_681, 8_713),
    "Health_and_Personal_Care": (346_355, 38_609, 18_534),
    "Home_and_Kitchen": (551_682, 66_519, 28_237),
    "Kindle_Store": (982_619, 68_223, 61_934),
    "Movies_and_TV": (1_697_533, 123_960, 50_052),
    "Musical_Instruments": (10_261, 1_429, 900),
    "Office_Products": (53_258, 4_905, 2_420),
    "Patio_Lawn_and_Garden": (13_272, 1_686, 962),
    "Pet_Supplies": (157_836, 19_856, 8_510),
    "Sports_and_Outdoors": (296_337, 35_598, 18_357),
    "Tools_and_Home_Improvement": (134_476, 16_638, 10_217),
    "Toys_and_Games": (167_597, 19_412, 11_924),
    "Video_Games": (231_780, 24_303, 10_672),
}

_CATEGORIES_2018 = """
    AMAZON_FASHION All_Beauty Appliances Arts_Crafts_and_Sewing Automotive Books CDs_and_Vinyl
    Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry Digital_Music Electronics Gift_Cards
    Grocery_and_Gourmet_Food Home_and_Kitchen Industrial_and_Scientific Kindle_Store Luxury_Beauty
    Magazine_Subscriptions Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden Pet_Supplies
    Prime_Pantry Software Sports_and_Outdoors Tools_and_Home_Improvement Toys_and_Games Video_Games
"""

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
        format="movielens",
        published=(Published((archive, *files), counts, verified=size in ("100k", "1m")),),
        remote=Remote(f"{_GROUPLENS}/{archive}", f"md5:{md5}", verified=True),
        page=f"https://grouplens.org/datasets/movielens/{size}/",
    )


def _amazon_2014(category: str, core: tuple[int, int, int]) -> Dataset:
    name, title = _amazon_name(category)
    reviews = Published(_plain_or_gzip(f"reviews_{category}_5.json"), core)
    return Dataset(
        name=name,
        title=title,
        format="amazon 5-core",
        published=(reviews, Published(_plain_or_gzip(f"ratings_{category}.csv"), core)),
        remote=Remote(f"{_AMAZON_2014}/categoryFiles/ratings_{category}.csv"),
        page=_AMAZON_2014,
        table="amazon-books-all" if category == "Books" else "",  # amazon-books.csv.gz is the sample below
    )


def _amazon_2018(category: str) -> Dataset:
    name, title = _amazon_name(category)
    files = (f"{category}_5.json", f"{category}.csv", f"{category}.json")
    return Dataset(
        name=f"{name}-2018",
        title=f"{title} 2018",
        format="amazon 5-core",
        published=(Published(tuple(name for file in files for name in _plain_or_gzip(file))),),
        remote=Remote(f"{_AMAZON_2018}/{category}.csv"),
        page="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
    )


def _amazon_name(category: str) -> tuple[str, str]:
    """What we call a category: ("amazon-toys", "Amazon Toys and Games") for Toys_and_Games."""
    short = category.partition("_and_")[0].lower().replace("_", "-").removeprefix("amazon-")
    title = category.replace("AMAZON_FASHION", "Fashion").replace("_", " ").removeprefix("Amazon ")
    return f"amazon-{short}", f"Amazon {title}"


_ALL = (
    # The paper's five.
    _movielens("1m"),
    Dataset(
        name="beauty",
        title="Beauty",
        format="amazon 5-core",
        published=(
            Published(_plain_or_gzip("reviews_Beauty_5.json"), _FIVE_CORES_2014["Beauty"], verified=True),
            Published(_plain_or_gzip("ratings_Beauty.csv"), _FIVE_CORES_2014["Beauty"]),
        ),
        remote=Remote(f"{_AMAZON_2014}/categoryFiles/reviews_Beauty_5.json.gz"),
        page=_AMAZON_2014,
    ),
    Dataset(
        name="yelp",
        title="Yelp",
        format="yelp",
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
        format="gowalla",
        published=(Published(_plain_or_gzip("loc-gowalla_totalCheckins.txt"), (6_442_892, 107_092, 1_280_969)),),
        released_filter="one-pass",
        remote=Remote(f"{_SNAP}/loc-gowalla_totalCheckins.txt.gz"),
        page="https://snap.stanford.edu/data/loc-Gowalla.html",
    ),
    Dataset(
        name="kindle-store",
        title="Kindle Store",
        format="amazon",
        published=(
            Published(_plain_or_gzip("ratings_Kindle_Store.csv"), (3_205_467, 1_406_890, 430_530)),
            Published(
                _plain_or_gzip("reviews_Kindle_Store_5.json"),
                _FIVE_CORES_2014["Kindle_Store"],
                remark="has fewer interactions than the data published with the released filter (1,256,065), which "
                "therefore came from ratings_Kindle_Store.csv; use that file to compare with the paper",
            ),
        ),
        released_filter="one-pass",
        remote=Remote(
            f"{_AMAZON_2014}/categoryFiles/ratings_Kindle_Store.csv",
            "sha256:616edbb9ee9b5e1f0212e0a75e226df3abb66548d833df3ea8a3c53942541200",  # as OmniRec's loader has it
        ),
        page=_AMAZON_2014,
    ),
    # Generated data.
    Dataset(name="synthetic", title="Synthetic"),
    # Others, read and split in the same way.
    Dataset(
        name="behance",
        title="Behance",
        format="behance",
        published=(Published(_plain_or_gzip("Behance_appreciate_1M"), (1_000_000, 63_497, 178_788)),),
        released_filter="one-pass",  # as for the paper's other datasets that are published whole
        remote=Remote("https://datarepo.eng.ucsd.edu/mcauley_group/gdrive/behance/Behance_appreciate_1M.gz"),
        page="https://cseweb.ucsd.edu/~jmcauley/datasets.html",
    ),
    *(_movielens(size) for size in _MOVIELENS if size != "1m"),
    Dataset(
        name="books-sample",
        title="Books (sample)",
        format="table",
        published=(Published(_plain_or_gzip("amazon-books.csv"), (517_167, 38_234, 38_519), verified=True),),
        page=f"{_AMAZON_2014} (a million users of its Books, drawn at random, and then the 5-core of what they rated)",
    ),
    *(_amazon_2014(category, core) for category, core in _FIVE_CORES_2014.items()),
    *(_amazon_2018(category) for category in _CATEGORIES_2018.split()),
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
    raise MissingData(f"{dataset.name}: no file in {data_dir}; {dataset.instructions(data_dir)}")
