"""`voxplain methods`."""

__all__ = ["methods_command"]


def methods_command() -> None:
    """List every method with its parameters and their defaults, and the settings that the presets change.

    For example:

        voxplain methods
    """
    from voxplain.cli.console import Console
    from voxplain.cli.methods_table import print_methods

    print_methods(Console(highlight=False))
