# Tests of the repository itself rather than of the library. They are part of the dev preset only.
