"""Notebooks as tests of pytest: what the plugin `mcp_jupyter_pytest` brings in where they are asked for."""
