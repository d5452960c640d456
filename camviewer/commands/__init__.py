"""The subcommands of ``camviewer-cli``, one module each. torch is imported only when one of them computes."""
