"""Which file is used for a dataset, and how its content is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from datasets import registry
from datasets.download import MissingData, Remote
from datasets.filtering import FILTERS
from datasets.interactions import DataError
from datasets.publishers import movielens
from datasets.registry import DATASETS, PAPER_DATASETS, Dataset, Published, locate, read_interactions

TABLE = "userid,itemid,timestamp\n1,2,3\n"
RATINGS = "1::2::5::3\n1::3::5::4\n"


def write(path: Path, text: str = TABLE) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


PUBLISHED = [name for name, dataset in DATASETS.items() if not dataset.is_synthetic]


def test_the_papers_five_come_first_under_the_papers_names() -> None:
    assert list(DATASETS)[:5] == list(PAPER_DATASETS)
    assert [DATASETS[name].title for name in PAPER_DATASETS] == ["ML-1M", "Beauty", "Yelp", "Gowalla", "Kindle Store"]
    assert [name for name in DATASETS if name not in PUBLISHED] == ["synthetic"]
    assert all(dataset.released_filter in FILTERS for dataset in DATASETS.values())


def test_all_datasets_have_distinct_names() -> None:
    assert len({dataset.title for dataset in DATASETS.values()}) == len(DATASETS) == 66  # of which 24 and 29 Amazon's
    assert DATASETS["amazon-toys"].title == "Amazon Toys and Games"
    assert DATASETS["amazon-fashion-2018"].title == "Amazon Fashion 2018"
    assert DATASETS["amazon-instant-video"].files[-1] == "ratings_Amazon_Instant_Video.csv.gz"
    prepared = [name for dataset in DATASETS.values() for name in dataset.tables]
    published = [name for each in DATASETS.values() for file in each.published for name in file.names]
    assert len(set(prepared)) == len(prepared)
    assert not set(prepared) & set(published)  # else the sample of Books could be taken for all of Amazon's Books


@pytest.mark.parametrize("name", PUBLISHED)
def test_accepted_names_are_found_in_order_of_preference(tmp_path: Path, name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.files[:2] == dataset.tables
    for file in reversed(dataset.files):
        path = write(tmp_path / file)
        assert locate(dataset, tmp_path) == path


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_file_is_reported_with_instructions(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingData) as error:
        locate(DATASETS[name], tmp_path)
    message = str(error.value)
    assert message.startswith(f"{name}: no file in {tmp_path}; ")
    assert "https://" in message
    assert all(file in message for file in DATASETS[name].files)
    assert "\n" not in message


def test_yelp_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"get it from https://www\.yelp\.com/dataset \(accept the terms there\)"):
        locate(DATASETS["yelp"], tmp_path, download=True)


def test_download_happens_only_if_asked_for_and_absent(tmp_path: Path) -> None:
    offline = replace(DATASETS["ml-1m"], remote=Remote("http://127.0.0.1:9/ml-1m.zip"))
    fetched = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "fetch", lambda remote, folder: fetched.append(remote) or folder / remote.file_name)
        assert locate(offline, tmp_path, download=True) == tmp_path / "ml-1m.zip"
        write(tmp_path / "ml-1m.csv")
        assert locate(offline, tmp_path, download=True) == tmp_path / "ml-1m.csv"
    assert fetched == [offline.remote]


def test_a_downloaded_file_is_verified_every_time(tmp_path: Path) -> None:
    write(tmp_path / "ratings.dat", RATINGS)
    write(tmp_path / "ratings.dat.sha256", "0" * 64 + "  ratings.dat\n")
    with pytest.raises(DataError, match="is not the file that was downloaded"):
        locate(DATASETS["ml-1m"], tmp_path)


def test_every_download_has_an_accepted_name() -> None:
    for dataset in DATASETS.values():
        if dataset.remote is not None:
            assert dataset.remote.file_name in dataset.files
            assert dataset.remote.url.startswith("https://")


def test_tables_are_not_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "ml-1m.csv")
    assert len(read_interactions(path, DATASETS["ml-1m"])) == 1
    assert len(read_interactions(path)) == 1


def counted(counts: tuple[int, int, int], verified: bool, remark: str | None = None) -> Dataset:
    published = Published(("x/ratings.dat",), counts, verified, remark)
    return Dataset("ml-1m", "ML-1M", (published,), reader=movielens.read)


def test_counts_of_publishers_files(tmp_path: Path) -> None:
    path = write(tmp_path / "x" / "ratings.dat", RATINGS)
    assert read_interactions(path, counted((2, 1, 2), verified=True)).notes == ()
    with pytest.raises(
        DataError, match="holds 2, 1 and 2 instead of 2,000 interactions of 1 users with 2 items; fetch"
    ):
        read_interactions(path, counted((2_000, 1, 2), verified=True))
    assert read_interactions(path, counted((2_000, 1, 2), verified=False, remark="a remark")).notes == (
        "a remark",
        "holds 2, 1 and 2 instead of 2,000 interactions of 1 users with 2 items "
        "(as others report; it could not be checked here): is it another version of the file?",
    )


def test_every_dataset_that_is_not_generated_has_a_reader() -> None:
    assert all(DATASETS[name].reader for name in PUBLISHED)


@pytest.mark.parametrize(
    ("name", "file", "size"),
    [
        ("ml-1m", "ml-1m.csv.gz", (1_000_072, 6_040, 3_674)),
        ("beauty", "beauty.csv.gz", (198_502, 22_363, 12_101)),
        ("ml-100k", "ml-100k-u.data", (100_000, 943, 1_682)),
        ("books-sample", "amazon-books.csv.gz", (517_167, 38_234, 38_519)),
    ],
)
def test_real_data_is_located_and_read(
    real_data: Callable[[str], Path], name: str, file: str, size: tuple[int, int, int]
) -> None:
    path = locate(DATASETS[name], real_data(file).parent)
    data = read_interactions(path, DATASETS[name])
    assert (path.name, len(data), data.n_users, data.n_items) == (file, *size)
    assert not data.notes


def test_the_sample_of_books_is_not_taken_for_another_dataset(tmp_path: Path) -> None:
    path = write(tmp_path / "amazon-books.csv", TABLE)
    assert locate(DATASETS["books-sample"], tmp_path) == path
    with pytest.raises(DataError, match="holds 1, 1 and 1 instead of 517,167 interactions"):
        read_interactions(path, DATASETS["books-sample"])
    with pytest.raises(MissingData):
        locate(DATASETS["amazon-books"], tmp_path)
