"""`voxplain completion`."""

from typing import Literal

from voxplain.cli.options import OutputFile

__all__ = ["completion_command"]


def completion_command(shell: Literal["bash", "zsh", "fish"], *, output: OutputFile = None) -> None:
    """Print the completion script of a shell: commands, options and their values then complete with the tab key.

    Examples:

        voxplain completion bash -o ~/.local/share/bash-completion/completions/voxplain
        voxplain completion zsh -o ~/.zfunc/_voxplain
        voxplain completion fish -o ~/.config/fish/completions/voxplain.fish

    Parameters
    ----------
    shell
        bash, zsh or fish. A new shell completes; zsh needs the folder in its fpath, before compinit.
    output
        The file to write; default: print it.
    """
    from voxplain.cli.app import app
    from voxplain.store import write_whole

    text = app.generate_completion(shell=shell)
    if output is None:
        print(text, end="")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, text.encode())
    print(f"completion: {output}")
