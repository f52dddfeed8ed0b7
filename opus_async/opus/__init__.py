"""The first platform: Opus (operator.opus.com)."""
