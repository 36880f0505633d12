"""Says so where this is no interpreter that the compiled half can serve: its threads know the main one alone."""


def _is_main() -> bool:
    try:
        try:
            import _interpreters as interpreters  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            import _xxsubinterpreters as interpreters  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


if not _is_main():
    raise ImportError(
        "mcp_jupyter cannot be used in a sub-interpreter; import it in the main one, or in a process of its own",
        name="mcp_jupyter",
    )
