"""T1D-UOM files: what is accepted, what is rejected, and with which reason."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_core.domain.errors import BadFile
from twin_core.domain.imports import FileReport, Imported, Reason
from twin_core.domain.records import EventKind, Quality
from twin_core.sources.delimited import table_of
from twin_core.sources.local_time import zone_named
from twin_core.sources.t1d_uom import LAYOUTS, T1D_UOM, RawFile, normalise, people_in, validate

LONDON = zone_named("Europe/London")
HEADERS = {layout.kind: ",".join(layout.columns) for layout in LAYOUTS}
Importer = Callable[..., Imported]


@pytest.fixture
def imported(tmp_path: Path) -> Importer:
    """Imports the given rows of each kind as one person's files."""

    def import_rows(time_zone: str = "Europe/London", **rows: list[str]) -> Imported:
        files = []
        for kind, lines in rows.items():
            files.append(tmp_path / f"{kind}_1.csv")
            files[-1].write_bytes("\r\n".join([HEADERS[kind], *lines, ""]).encode())
        return T1D_UOM.import_files(files, time_zone)

    return import_rows


def reasons(file: FileReport) -> list[tuple[int, Reason]]:
    return [(row.row, row.reason) for row in file.rejected]


def activity(local: str, start_s: int, offset_s: int, kind: str = "WALKING", steps: int = 100) -> str:
    return f"{local},{kind},5,{steps},80,900,300,{start_s},{offset_s},3.1,ACTIVE,2,3"


# Time ----------------------------------------------------------------------------------------------------------


def test_the_day_comes_before_the_month_and_summer_time_is_an_hour_ahead(imported: Importer) -> None:
    summer, winter = imported(glucose=["03/09/2023 10:04,5.5", "03/12/2023 10:04,5.5"]).readings
    assert (summer.instant, summer.offset_min) == (datetime(2023, 9, 3, 9, 4, tzinfo=UTC), 60)
    assert (winter.instant, winter.offset_min) == (datetime(2023, 12, 3, 10, 4, tzinfo=UTC), 0)
    assert summer.local == "03/09/2023 10:04"


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ("02/12/2033 20:00", Reason.IMPOSSIBLE_DATE),
        ("02/12/2204 20:00", Reason.IMPOSSIBLE_DATE),
        ("31/12/2022 23:59", Reason.IMPOSSIBLE_DATE),
        ("02/12/202 20:00", Reason.BAD_DATE),
        ("21/02/2024", Reason.BAD_DATE),
        ("12/31/2023 10:00", Reason.BAD_DATE),
        ("30/02/2024 10:00", Reason.BAD_DATE),
        ("2024-02-21 10:00", Reason.BAD_DATE),
        ("", Reason.MISSING_VALUE),
        ("31/03/2024 01:30", Reason.NONEXISTENT_LOCAL_TIME),
    ],
)
def test_a_time_that_cannot_be_is_rejected_with_its_reason(stamp: str, reason: Reason, imported: Importer) -> None:
    result = imported(glucose=["30/03/2024 10:00,5.5", f"{stamp},6.1"])
    assert reasons(result.report.files[0]) == [(3, reason)]
    assert stamp in result.report.files[0].rejected[0].got


def test_rows_that_step_back_in_the_repeated_hour_are_its_second_pass(imported: Importer) -> None:
    rows = [
        "29/10/2023 00:55,5",
        "29/10/2023 01:25,6",
        "29/10/2023 01:55,7",
        "29/10/2023 01:25,8",
        "29/10/2023 02:00,9",
    ]
    result = imported(glucose=rows)
    assert [reading.instant.strftime("%H:%M") for reading in result.readings] == [
        "23:55", "00:25", "00:55", "01:25", "02:00",
    ]  # fmt: skip
    assert [reading.offset_min for reading in result.readings] == [60, 60, 60, 0, 0]
    assert "3 rows lie in the hour" in " ".join(result.report.files[0].notes)


def test_events_sixty_days_outside_the_glucose_record_are_rejected(imported: Importer) -> None:
    # The publishers' slip in 2302 and 2305: boluses of January 2024 stamped 2023.
    boluses = ["14/01/2023 19:50,4", "01/12/2023 08:00,4"]
    glucose = ["01/12/2023 00:00,5.5", "15/01/2024 00:00,5.5"]
    report = imported(bolus=boluses, glucose=glucose).report
    assert [file.kind for file in report.files] == ["glucose", "bolus"]
    assert reasons(report.files[1]) == [(2, Reason.FAR_FROM_RECORD)]
    assert imported(bolus=boluses).report.rejected == 0


# Glucose -------------------------------------------------------------------------------------------------------


def test_glucose_is_kept_in_mg_dl_beside_the_value_received(imported: Importer) -> None:
    reading = imported(glucose=["01/12/2023 10:00,5.5"]).readings[0]
    # 5.5 mmol/L x 18.0156 = 99.09 mg/dL, to the nearest whole.
    assert (reading.glucose_mg_dl, reading.value_received, reading.unit_received) == (99.0, 5.5, "mmol/L")


@pytest.mark.parametrize(
    ("value", "quality"),
    [
        ("2.1", Quality.BELOW_SENSOR_RANGE),
        ("2.2", Quality.GOOD),
        ("22.2", Quality.GOOD),
        ("22.3", Quality.ABOVE_SENSOR_RANGE),
    ],
)
def test_readings_outside_40_to_400_mg_dl_are_kept_and_flagged(
    value: str, quality: Quality, imported: Importer
) -> None:
    assert imported(glucose=[f"01/12/2023 10:00,{value}"]).readings[0].quality is quality


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1.0", Reason.OUT_OF_RANGE),
        ("33.4", Reason.OUT_OF_RANGE),
        ("-5", Reason.OUT_OF_RANGE),
        ("99", Reason.OUT_OF_RANGE),
        ("", Reason.MISSING_VALUE),
        ("LOW", Reason.NOT_A_NUMBER),
        ("nan", Reason.NOT_A_NUMBER),
        ("inf", Reason.NOT_A_NUMBER),
        ("1_0", Reason.NOT_A_NUMBER),
        ('"5,5"', Reason.NOT_A_NUMBER),
        ("5,5", Reason.UNREADABLE),
    ],
)
def test_a_value_that_cannot_be_is_rejected_with_its_reason(value: str, reason: Reason, imported: Importer) -> None:
    assert reasons(imported(glucose=[f"01/12/2023 10:00,{value}"]).report.files[0]) == [(2, reason)]


def test_the_first_of_two_readings_at_one_time_is_kept(imported: Importer) -> None:
    result = imported(glucose=["01/12/2023 10:00,5", "01/12/2023 10:00,5.0", "01/12/2023 10:00,6.1"])
    assert [reading.value_received for reading in result.readings] == [5.0]
    assert reasons(result.report.files[0]) == [(3, Reason.DUPLICATE), (4, Reason.CONFLICT)]
    assert result.report.files[0].rejected[1].got == "01/12/2023 10:00: 6.1 (line 2 has 5)"


def test_a_rejected_reading_does_not_stand_in_the_way_of_a_good_one(imported: Importer) -> None:
    result = imported(glucose=["01/12/2023 10:00,55", "01/12/2023 10:00,5.5"])
    assert [reading.value_received for reading in result.readings] == [5.5]


def test_two_traces_mixed_in_one_file_are_noted_but_kept(imported: Importer) -> None:
    rows = [f"08/10/2023 {m // 60:02}:{m % 60 + d:02},{v}" for m in range(0, 60, 5) for d, v in ((3, 11.1), (4, 19))]
    result = imported(glucose=rows)
    assert result.report.rejected == 0
    assert "12 places from 2023-10-07 to 2023-10-07" in result.report.files[0].notes[0]


# Insulin -------------------------------------------------------------------------------------------------------


def test_kind_r_is_a_rate_and_kind_l_an_injection(imported: Importer) -> None:
    rows = ["01/12/2023 10:00,0.85,R", "01/12/2023 11:00,0,R", "01/12/2023 22:00,16,L"]
    events = imported(basal=rows).events
    assert [(event.kind, event.amount) for event in events] == [
        (EventKind.BASAL_RATE, 0.85),
        (EventKind.BASAL_RATE, 0.0),
        (EventKind.LONG_ACTING, 16.0),
    ]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("10.1,R", Reason.OUT_OF_RANGE),
        ("201,L", Reason.OUT_OF_RANGE),
        ("0,L", Reason.EMPTY),
        ("5,X", Reason.UNKNOWN_KIND),
        ("5,", Reason.MISSING_VALUE),
        (",R", Reason.MISSING_VALUE),
    ],
)
def test_basal_rows_that_cannot_be_are_rejected(cells: str, reason: Reason, imported: Importer) -> None:
    assert reasons(imported(basal=[f"01/12/2023 10:00,{cells}"]).report.files[0]) == [(2, reason)]


def test_the_last_rate_of_a_minute_is_the_one_that_holds(imported: Importer) -> None:
    # 2301 on 17 December 2023, 15:53: 0, 0.78, 0.
    result = imported(basal=[f"17/12/2023 15:53,{rate},R" for rate in ("0", "0.78", "0", "0")])
    assert [(event.kind, event.amount) for event in result.events] == [(EventKind.BASAL_RATE, 0.0)]
    assert reasons(result.report.files[0]) == [(2, Reason.SUPERSEDED), (3, Reason.SUPERSEDED), (5, Reason.DUPLICATE)]


def test_two_doses_in_one_minute_are_two_boluses_and_a_dose_of_zero_is_none(imported: Importer) -> None:
    # 2301 on 7 January 2024, 00:34: 0.2 and 0.329; zeros follow many of its boluses.
    result = imported(bolus=[f"07/01/2024 00:34,{dose}" for dose in ("0.2", "0.329", "0", "0.2", "101")])
    assert [event.amount for event in result.events] == [0.2, 0.329]
    assert reasons(result.report.files[0]) == [(4, Reason.EMPTY), (5, Reason.DUPLICATE), (6, Reason.OUT_OF_RANGE)]


# Meals and activity --------------------------------------------------------------------------------------------


def test_a_meal_keeps_what_came_with_it(imported: Importer) -> None:
    meal = imported(nutrition=['08/11/2023 12:30,Lunch,"Prawns, rice + eggs",39,26,12,']).events[0]
    assert (meal.kind, meal.amount) == (EventKind.CARBS, 39.0)
    assert meal.details == {"meal_type": "Lunch", "meal_tag": "Prawns, rice + eggs", "protein_g": 26.0, "fat_g": 12.0}


def test_items_of_one_meal_are_kept_and_the_same_item_is_a_duplicate(imported: Importer) -> None:
    rows = ["Lunch,Huel,28,19,,", "Snack,ChristmasWrap,30,9,,", "Lunch,Huel,28,,,", "Lunch,,28,,,"]
    result = imported(nutrition=[f"04/12/2023 12:23,{row}" for row in rows])
    assert [event.amount for event in result.events] == [28.0, 30.0, 28.0]
    assert reasons(result.report.files[0]) == [(4, Reason.DUPLICATE)]


def test_a_meal_without_carbohydrate_is_kept_unless_it_carries_nothing(imported: Importer) -> None:
    rows = ["10:00,Breakfast,Coffee,0,0,1,0", "11:00,,,0,20,,", "12:00,Snack,,0,0,,", "13:00,Lunch,NotReported,,,,"]
    result = imported(nutrition=[f"22/10/2023 {row}" for row in rows])
    assert [event.amount for event in result.events] == [0.0, 0.0]
    assert reasons(result.report.files[0]) == [(4, Reason.EMPTY), (5, Reason.MISSING_VALUE)]


def test_activity_takes_its_instant_from_the_watch_and_keeps_the_offset(imported: Importer) -> None:
    # 1696118400 s is 2023-10-01 00:00 UTC; the watch of 2302 ran two hours ahead.
    result = imported(activity=[activity("01/10/2023 02:00", 1696118400, 7200)])
    walk = result.events[0]
    assert (walk.instant, walk.offset_min) == (datetime(2023, 10, 1, tzinfo=UTC), 120)
    assert (walk.amount, walk.details["duration_min"], walk.details["met"]) == (100.0, 15.0, 3.1)
    assert "1 of 1 rows the watch ran at another offset" in result.report.files[0].notes[0]


def test_types_of_activity_share_an_interval(imported: Importer) -> None:
    stamp = ("08/10/2023 15:00", 1696773600, 3600)
    rows = [activity(*stamp), activity(*stamp, "SEDENTARY", 0), activity(*stamp), activity(*stamp, steps=90)]
    result = imported(activity=rows)
    assert [event.details["activity_type"] for event in result.events] == ["WALKING", "SEDENTARY"]
    assert reasons(result.report.files[0]) == [(4, Reason.DUPLICATE), (5, Reason.CONFLICT)]


def test_a_second_watch_abroad_is_rejected_where_the_one_at_home_has_rows(imported: Importer) -> None:
    # 2305 on 17 October 2023: the interval at 07:00 UTC stands at +1 h and at -5 h.
    abroad, home = ("17/10/2023 02:00", 1697526000, -18000), ("17/10/2023 08:00", 1697526000, 3600)
    result = imported(activity=[activity(*abroad), activity(*home, steps=137)])
    assert [event.amount for event in result.events] == [137.0]
    assert reasons(result.report.files[0]) == [(2, Reason.SECOND_WATCH)]


def test_activity_whose_two_times_disagree_is_rejected(imported: Importer) -> None:
    report = imported(activity=[activity("17/10/2023 02:00", 1697526000, 3600)]).report
    assert reasons(report.files[0]) == [(2, Reason.BAD_DATE)]


# Files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_told_by_its_header_whatever_its_name_order_of_columns_and_marks(tmp_path: Path) -> None:
    file = tmp_path / "upload (3).txt"
    file.write_bytes(b"\xef\xbb\xbfinsulin_kind,,basal_ts,basal_dose,\nR,,01/12/2023 10:00, 0.8 ,\n,,,,\n\n")
    result = T1D_UOM.import_files([file], "Europe/London")
    assert [event.amount for event in result.events] == [0.8]
    report = result.report.files[0]
    assert (report.kind, report.rows_read, report.accepted) == ("basal", 1, 1)
    assert [note.split(".")[0] for note in report.notes] == [
        "A byte-order mark before the first line was skipped",
        "2 columns without a name were ignored",
        "2 blank lines were skipped; they are not rows",
    ]


def test_a_mixed_up_header_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "glucose_1.csv"
    file.write_text("bg_ts,bolus_dose\n", encoding="utf-8")
    with pytest.raises(BadFile) as error:
        T1D_UOM.import_files([file], "Europe/London")
    for part in ("glucose_1.csv", "'bg_ts,bolus_dose'", "glucose: bg_ts,value", "bolus: bolus_ts,bolus_dose"):
        assert part in str(error.value)


def test_files_of_two_people_or_two_of_one_kind_are_refused(tmp_path: Path) -> None:
    for name, kind in (("glucose_1", "glucose"), ("glucose_2", "glucose"), ("bolus_2", "bolus")):
        (tmp_path / f"{name}.csv").write_text(HEADERS[kind] + "\n", encoding="utf-8")
    with pytest.raises(BadFile, match="several people"):
        T1D_UOM.import_files([tmp_path / "glucose_1.csv", tmp_path / "bolus_2.csv"], "Europe/London")
    with pytest.raises(BadFile, match="2 files of the kind glucose"):
        T1D_UOM.import_files([tmp_path / "glucose_1.csv", tmp_path / "glucose_2.csv"], "Europe/London")


def test_a_folder_without_files_of_the_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"glucose/glucose_<person>\.csv"):
        people_in(tmp_path)


CELLS = st.one_of(
    st.sampled_from(
        ["", "0", "5.5", "5.5", "R", "L", "-1", "1e3", "nan", '"', '"a,b"', "Huel", "900", "3600", "1698526800",
         "29/10/2023 01:30", "29/10/2023 01:30", "29/10/2023 01:10", "31/03/2024 01:30", "01/12/2033 10:00", "/202"]
    ),
    st.text(max_size=8),
)  # fmt: skip


@given(
    layout=st.sampled_from(LAYOUTS),
    rows=st.lists(st.lists(CELLS, max_size=14), max_size=30),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
)
@settings(max_examples=300, deadline=None)
def test_every_row_of_a_mangled_file_is_accepted_or_rejected(layout, rows, line_end) -> None:  # type: ignore[no-untyped-def]
    text = line_end.join([",".join(layout.columns), *(",".join(row) for row in rows)])
    raw = RawFile(table=table_of("mangled.csv", text), layout=layout)
    checked = validate(raw, LONDON)
    lines = [row.line for row in checked.accepted] + [row.row for row in checked.rejected]
    assert sorted(lines) == [row.line for row in raw.table.rows]
    readings, events = normalise(checked)
    assert len(readings) + len(events) == len(checked.accepted)


@given(text=st.text())
def test_a_row_is_a_line_whatever_the_text(text: str) -> None:
    table = table_of("any.csv", text)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert len(table.rows) + table.blank_lines == len(lines) - 1 - (len(lines) > 1 and not lines[-1])
    assert all(row.line <= len(lines) and any(row.cells) for row in table.rows)
