"""The configuration: `schema` says what it may hold, `loader` turns a YAML file into a `Config` or all its problems."""
