"""A file becomes a dataset version: looked at, its columns chosen, every row checked, imported.

Only the beginning of the file goes to the API while columns are chosen. The import first has every
row checked, so that one wrong row is told with all others that are wrong, and nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from workbench.client import APIError, ServerFailed, datasets
from workbench.client.datasets import DatasetImport, Preview
from workbench.dashboard.elements import link, plain
from workbench.dashboard.frames.datasets import error_frame, text_of
from workbench.dashboard.frames.uploads import (
    ENDINGS,
    Columns,
    Upload,
    UploadError,
    first_columns,
    guessed,
    head_of,
    import_command,
    is_own_form,
    name_of,
    whole_of,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show"]

_MOST_MB: Final = 64
_SHOWN: Final = 3  # rows
_HEAD: Final = "datasets-head"
_DONE: Final = "datasets-done"
_TOO_LARGE: Final = 413


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be imported, and as what; `columns` None: rows are examples as they are."""

    file: str
    name: str
    message: str
    columns: Columns | None


def show(session: Session) -> None:
    """Draw the upload."""
    link(session, "datasets", "All datasets", icon=":material/arrow_back:")
    st.header("Upload a dataset", anchor=False)
    st.caption(
        f"CSV, JSON Lines, JSON (an array of objects) or Parquet, up to {_MOST_MB} MB, an example "
        "a row. The same content again is the version that is there already."
    )
    file = st.file_uploader("File", type=list(ENDINGS), key="upload-file", max_upload_size=_MOST_MB)
    if file is None:
        st.caption("Larger files: " + "`workbench datasets import FILE --name NAME`")
        return
    try:
        head = _head(file)
    except UploadError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    first = _look(session, head, first_columns(head))
    if first is None:
        return
    wish = _ask(file.name, first)
    shown = first if wish.columns is None else _look(session, head, wish.columns.body())
    if shown is not None:
        _show_rows(shown)
    _offer_import(session, file, wish)


def _head(file: UploadedFile) -> Upload:
    """Return the beginning of a file; kept until another is chosen, as it is read at each click."""
    kept = st.session_state.get(_HEAD)
    if kept is None or kept[0] != file.file_id:
        kept = (file.file_id, head_of(file.name, file.getvalue()))
        st.session_state[_HEAD] = kept
    upload: Upload = kept[1]
    return upload


def _look(session: Session, head: Upload, columns: dict[str, object] | None) -> Preview | None:
    """Return the first rows as the API reads them; None if it says that it cannot."""
    request = head.body(columns=columns, partial=True, only_first=True, show=_SHOWN)
    try:
        return session.client.send(datasets.preview(request))
    except ServerFailed:
        raise
    except APIError as error:
        st.error(escaped(error.detail), icon=":material/error:")
        return None


def _ask(file: str, first: Preview) -> _Wish:
    """Draw what there is to choose; return what was chosen."""
    name = st.text_input(
        "Dataset",
        value=st.query_params.get("name") or name_of(file),
        key=f"upload-name-{file}",
        help="Lower-case letters, digits, '.', '_' and '-', as in tickets or desk/tickets. The "
        "file becomes its next version.",
    )
    message = st.text_input(
        "Message", key="upload-message", placeholder="what this version is", max_chars=2000
    )
    if is_own_form(first):
        st.info(
            "The rows are examples as they are: key, input, expected output, metadata. There are "
            "no columns to choose."
        )
        return _Wish(file, name.strip(), message.strip(), None)
    return _Wish(file, name.strip(), message.strip(), _ask_columns(file, first.columns))


def _ask_columns(file: str, names: tuple[str, ...]) -> Columns:
    guess = guessed(names)
    left, right = st.columns(2)

    def place(name: str | None) -> int | None:
        return None if name is None else names.index(name)

    expected = left.selectbox(
        "Expected output",
        names,
        index=place(guess.expected_output),
        placeholder="no column",
        key=f"upload-expected-{file}",
        format_func=escaped,
    )
    key = right.selectbox(
        "Key",
        names,
        index=place(guess.key),
        placeholder="made from the input",
        key=f"upload-key-{file}",
        format_func=escaped,
        help="A stable name of each example, by which versions are compared.",
    )
    metadata = left.multiselect(
        "Metadata",
        names,
        key=f"upload-metadata-{file}",
        format_func=escaped,
        help="Kept beside the example, to slice results by; prompts do not see it.",
    )
    cluster = right.selectbox(
        "Cluster",
        names,
        index=None,
        placeholder="none",
        key=f"upload-cluster-{file}",
        format_func=escaped,
        help="What makes examples alike, such as a document that several are about.",
    )
    taken = {expected, key, cluster, *metadata}
    inputs = st.multiselect(
        "Inputs",
        [name for name in names if name not in taken],
        placeholder="every column that is nothing else",
        key=f"upload-inputs-{file}",
        format_func=escaped,
        help="The variables that prompts fill in.",
    )
    return Columns(tuple(inputs), expected, key, cluster, tuple(metadata))


def _show_rows(preview: Preview) -> None:
    st.subheader("The first rows become", anchor=False)
    wrong = {error.row: error.problem for error in preview.errors}
    for number, problem in wrong.items():
        if number not in {row.row for row in preview.rows}:
            place = "" if number is None else f"Row {number}: "
            st.error(f"{place}{escaped(problem)}.", icon=":material/error:")
    for row in preview.rows:
        with st.expander(f"Row {row.row}", expanded=row.row == 1):
            if row.example is None:
                problem = wrong.get(row.row, "This row cannot be an example.")
                st.error(escaped(problem), icon=":material/error:")
                plain(text_of(row.values))
            else:
                plain(text_of(row.example), language="json")


def _offer_import(session: Session, file: UploadedFile, wish: _Wish) -> None:
    if not wish.name:
        st.caption("Give the dataset a name to import it.")
    if st.button("Check and import", type="primary", disabled=not wish.name, key="upload-import"):
        try:
            _import(session, file, wish)
        except UploadError as error:
            st.error(escaped(str(error)), icon=":material/error:")
        except ServerFailed:
            raise
        except APIError as error:
            _tell_refusal(error, wish)


def _import(session: Session, file: UploadedFile, wish: _Wish) -> None:
    """Check every row, and store them all if none is wrong."""
    columns = None if wish.columns is None else wish.columns.body()
    with st.status("Reading the file") as status:
        upload = whole_of(file.name, file.getvalue())
        status.update(label="Checking every row")
        checked = session.client.send(datasets.preview(upload.body(columns=columns, show=0)))
        if checked.error_count:
            status.update(label="Nothing was imported", state="error")
            made = None
        else:
            status.update(label=f"Importing {checked.examples:,} examples")
            request = upload.body(
                columns=columns,
                name=wish.name,
                message=wish.message,
                source=file.name[-200:] or "upload",
            )
            made = session.client.send(datasets.import_text(request))
    if made is None:
        _tell_errors(checked)
    else:
        _open(made)


def _open(made: DatasetImport) -> None:
    """Go to the version that an import made or found."""
    version = made.version
    repeated = f" {made.repeated_inputs:,} repeat an input." if made.repeated_inputs else ""
    st.session_state[_DONE] = (
        f"Imported {version.example_count:,} examples as {version.reference}.{repeated}"
        if made.created
        else f"Exactly this is {version.reference} already; nothing was changed."
    )
    st.session_state.pop(_HEAD, None)
    st.query_params.clear()
    st.query_params["name"] = version.name
    st.query_params["version"] = str(version.number)
    st.rerun()


def _tell_errors(checked: Preview) -> None:
    rows = "1 row is" if checked.error_count == 1 else f"{checked.error_count:,} rows are"
    st.error(
        f"{rows} wrong, {checked.examples:,} would do. Nothing was imported: mend the file and "
        "upload it again.",
        icon=":material/error:",
    )
    if checked.error_count > len(checked.errors):
        st.caption(f"The first {len(checked.errors):,} are listed.")
    st.dataframe(error_frame(checked.errors), hide_index=True, alt="Rows that are wrong")


def _tell_refusal(error: APIError, wish: _Wish) -> None:
    if error.status != _TOO_LARGE:
        st.error(escaped(error.detail), icon=":material/error:")
        return
    st.error("The file is larger than the API takes.", icon=":material/error:")
    st.markdown("Where the workspace is, this command imports it, however large it is:")
    plain(import_command(wish.file, wish.name, wish.columns), language="shell")
