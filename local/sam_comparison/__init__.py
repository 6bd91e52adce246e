"""Compare the emulator with AWS's own tool: run each event with `sam local invoke` and with `parley invoke`, and print differences."""
