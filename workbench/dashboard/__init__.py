"""The dashboard: a Streamlit application that speaks to the API as the signed-in person.

`server` is the process with its sign-in, `main` the script that Streamlit runs for each page view,
`pages` the list of pages, `views` one module a page, `frames` and `charts` the pure parts: answers
of the API to tables, tables to plots. Nothing in here knows the database or the service.
"""
