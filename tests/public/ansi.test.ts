import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ansiSegments, plainText } from '../../public/state/ansi.js'

const styleOf = (codes: string) => ansiSegments(`\x1b[${codes}mx`)[0]?.style

const INVISIBLE = [
  '\x1b[K',
  '\x1b[?25l',
  '\x1b[>4;1m',
  '\x1b[!p',
  '\x1b[2 q',
  '\x1b[38:5:196m',
  '\x1b[4:3m',
  '\x1b(B',
  '\x1b#8',
  '\x1b7',
  '\x1b=',
  '\x1bM',
  '\x1b]0;title\x07',
  '\x1b]8;;http://x\x1b\\',
  '\x1bP1$r0m\x1b\\',
  '\x1b_G1;\x1b\\',
  '\x1b^private\x1b\\',
  '\x9b1m',
  '\x9d0;title\x9c',
  '\x07',
  '\x00',
  '\x0e',
  '\x7f',
]

describe('a log line', () => {
  it('shows the colours of a terminal, and drops all other sequences', () => {
    assert.deepEqual(ansiSegments('\x1b[1m\x1b[32madded\x1b[0m 268\x1b[K packages'), [
      { text: 'added', style: 'bold ansi-2' },
      { text: ' 268', style: '' },
      { text: ' packages', style: '' },
    ])
    for (const sequence of INVISIBLE) assert.equal(plainText(`a${sequence}b`), 'ab', JSON.stringify(sequence))
  })

  it('drops an incomplete sequence', () => {
    for (const cut of ['\x1b', '\x1b[', '\x1b[38;5', '\x1b(', '\x1b]0;tit', '\x1bP1'])
      assert.equal(plainText(`a${cut}`), 'a', JSON.stringify(cut))
  })

  it('never shows a control character of any input, and keeps a line without one', () => {
    const part = fc.oneof(fc.constantFrom(...INVISIBLE, '\r', '\b', '\x1b', '\x1b[', '\t'), fc.string())
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const shown = plainText(parts.join(''))
        assert.ok(
          ![...shown].some((letter) => letter !== '\t' && /\p{Cc}/u.test(letter)),
          JSON.stringify(shown),
        )
      }),
    )
    assert.deepEqual(ansiSegments('plain\ttext'), [{ text: 'plain\ttext', style: '' }])
    assert.deepEqual(ansiSegments(''), [])
  })

  it('shows an extended colour in any notation as the nearest of eight colours', () => {
    assert.deepEqual(['38;5;1', '38;5;9', '38;5;196', '38;2;250;20;30'].map(styleOf), Array(4).fill('ansi-1'))
    assert.deepEqual(['38:5:46', '38:2::0:255:0', '38;2;0;200;0'].map(styleOf), Array(3).fill('ansi-2'))
    assert.deepEqual(['38;5;21', '38;5;226', '38;5;51'].map(styleOf), ['ansi-4', 'ansi-3', 'ansi-6'])
    assert.deepEqual(['38;5;232', '38;5;255', '38;5;16'].map(styleOf), ['ansi-0', 'ansi-7', 'ansi-0'])
  })

  it('does not read the values of an extended colour as codes', () => {
    assert.deepEqual(['48;5;1', '48;2;1;31;4', '38;5;4;1', '48;5;31;32'].map(styleOf), [
      '',
      '',
      'ansi-4 bold',
      'ansi-2',
    ])
    assert.deepEqual(['38;5;999', '38;5', '38', ''].map(styleOf), Array(4).fill(''))
  })

  it('removes a style at its end code', () => {
    const segments = ansiSegments('\x1b[1;3;4;31ma\x1b[22mb\x1b[23;24mc\x1b[39md\x1b[4:0;2me\x1b[mf')
    assert.deepEqual(
      segments.map(({ text, style }) => `${text} ${style}`),
      ['a bold italic underline ansi-1', 'b italic underline ansi-1', 'c ansi-1', 'd ', 'e dim', 'f '],
    )
  })

  it('shows the last text of an overwritten line', () => {
    assert.deepEqual(ansiSegments('10%\r50%\r100%\r'), [{ text: '100%', style: '' }])
    assert.equal(plainText('half\x1b[2K\x1b[1Gdone'), 'done')
    assert.equal(plainText('|\b/\b-\bdone'), 'done')
    assert.equal(plainText('done\r\x1b[0m'), 'done')
  })
})
