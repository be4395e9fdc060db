"""A pseudo terminal with a program in it, and what a person would see there."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


class Screen:
    """Lines of text, drawn as the few controls say that Granary may use. Anything else is an error."""

    def __init__(self, columns):
        self.columns = columns
        self.lines = [""]
        self.at = 0
        self.widest = 0

    def feed(self, text):
        while text:
            if text.startswith("\033["):
                end = next(i for i, c in enumerate(text[2:], 2) if c.isalpha())
                control, text = text[:end + 1], text[end + 1:]
                if control == "\033[J":
                    self.lines[-1] = self.lines[-1][:self.at]
                else:
                    assert control in ("\033[0m", "\033[31m", "\033[32m", "\033[33m"), repr(control)
                continue
            c, text = text[0], text[1:]
            if c == "\r":
                self.at = 0
            elif c == "\n":
                self.lines.append("")
            else:
                assert c.isprintable() or c == "\t", repr(c)
                line = self.lines[-1].ljust(self.at)
                self.lines[-1] = line[:self.at] + c + line[self.at + 1:]
                self.at += 1
                self.widest = max(self.widest, self.at)


class Terminal:
    """Runs a program on a terminal of its own."""

    def __init__(self, words, env, columns=80):
        self.screen = Screen(columns)
        self.text = ""
        self.held = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            self.resize_to(0, columns)
            os.execvpe(words[0], words, env)
        self.status = None

    @staticmethod
    def resize_to(fd, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def resize(self, columns):
        """The kernel tells the foreground by SIGWINCH. What was drawn for another width is not counted any more."""
        self.resize_to(self.master, columns)
        self.screen.widest = 0

    def read(self, timeout):
        """What arrives within the time; None at the end."""
        if not select.select([self.master], [], [], timeout)[0]:
            return ""
        try:
            self.held += os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return None
        text = self.held.decode(errors="strict")
        self.held = b""
        if text.rfind("\033") > text.rfind("[") or (text.rfind("\033") >= 0 and not any(
                c.isalpha() for c in text[text.rfind("\033"):])):
            cut = text.rfind("\033")
            text, self.held = text[:cut], text[cut:].encode()
        self.text += text
        self.screen.feed(text)
        return text

    def wait(self, seen, timeout=20):
        """Until seen(screen) is true."""
        end = time.monotonic() + timeout
        while not seen(self.screen):
            left = end - time.monotonic()
            assert left > 0, "\n".join(self.screen.lines)
            assert self.read(left) is not None, "ended too early:\n" + "\n".join(self.screen.lines)

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self, timeout=60):
        """Reads to the end; returns the exit status."""
        end = time.monotonic() + timeout
        while self.read(max(end - time.monotonic(), 0)) is not None:
            assert time.monotonic() < end, "\n".join(self.screen.lines)
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
