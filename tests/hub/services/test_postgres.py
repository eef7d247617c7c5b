"""The embedded PostgreSQL: started as whoever we are, refused when it is another release's, reached over a private socket."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hub.services.console import Refusal
from hub.services.folders import DataFolder
from hub.services.postgres import Postgres, bin_folder, major
from hub.services.processes import Fleet


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.stop()


def prepared(path: Path) -> DataFolder:
    folder = DataFolder(path)
    folder.prepare()
    return folder


def test_server_keeps_its_rows_over_a_restart_in_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a folder")
    for expected in (1, 2):
        fleet, server = Fleet(), Postgres(folder)
        try:
            assert server.start(fleet) is (expected == 1)
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("create table if not exists kept (i int)")
                connection.execute("insert into kept values (1)")
                assert connection.execute("select count(*) from kept").fetchone() == (expected,)
                for extension in ("pg_trgm", "unaccent"):
                    connection.execute(f"create extension if not exists {extension}")
                assert connection.execute("show listen_addresses").fetchone() == ("",)
                assert connection.execute("show max_connections").fetchone() == ("100",)
        finally:
            fleet.stop()
        assert "database system is shut down" in folder.log("postgres").read_text().splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_user_namespaces_runs_it_as_nobody(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_PG_SETUID", "1")
    path = Path("/var/tmp") / f"weighhouse-nobody-{os.getpid()}"
    folder = prepared(path)
    try:
        server = Postgres(folder)
        try:
            server.start(fleet)
        except Refusal as refusal:
            pytest.skip(str(refusal))  # the checkout lies where nobody may not go
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert server.cluster.stat().st_uid == 65534
        monkeypatch.delenv("WEIGH_PG_SETUID")
        assert Postgres(folder).way == "nobody"  # a cluster that nobody owns stays nobody's
        assert server.sockets.stat().st_mode & 0o777 == 0o700
        fleet.stop()
        shutil.rmtree(server.sockets)
    finally:
        fleet.stop()
        shutil.rmtree(path)


def test_cluster_of_another_major_version_is_refused(tmp_path: Path) -> None:
    server = Postgres(prepared(tmp_path))
    server.cluster.mkdir()
    (server.cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(Refusal, match=rf"made by PostgreSQL 12, and this hub brings {major(bin_folder())}\. Dump it"):
        server.initialise()


def test_folder_with_strange_files_is_refused_and_they_stay(tmp_path: Path) -> None:
    server = Postgres(prepared(tmp_path))
    server.cluster.mkdir()
    (server.cluster / "stranger").write_text("not ours")
    with pytest.raises(Refusal, match="holds files but no database"):
        server.initialise()
    assert (server.cluster / "stranger").read_text() == "not ours"


def test_cluster_left_half_made_by_a_killed_start_is_made_anew(tmp_path: Path) -> None:
    server = Postgres(prepared(tmp_path))
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir(mode=0o700)
    (unfinished / "PG_VERSION").write_text("18\n")
    assert server.initialise()
    assert (server.cluster / "global" / "pg_control").exists()
    assert not unfinished.exists()


def test_address_of_the_database_encodes_the_socket_folder(tmp_path: Path) -> None:
    server = Postgres(prepared(tmp_path / "a b"))
    assert server.url().startswith("postgresql://hub@/hub?host=%2F")
    assert " " not in server.url()
