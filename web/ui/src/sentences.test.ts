import { expect, test } from 'vitest'

import { translator } from './sentences'

const tell = translator({
  'no answer': '没有应答',
  'no answer within %v': '%s 内没有应答',
  'meter %s on %s: %w': '%[2]s 上的仪表 %[1]s：%[3]s',
  'device %s: %w': '设备 %s：%s',
  '%d of %d points failed, the first is %s': '%[2]d 个点位中有 %[1]d 个失败，第一个是 %[3]s',
  '%q is not an address': '%s 不是地址',
  'unknown key%s; known here: %s': '未知的键%s；可用：%s',
  '; did you mean %q': '；是否想写 %s',
  'exception %s: %s': '异常码 %s：%s',
  'illegal data address': '非法数据地址',
  'the answer begins with % x': '应答开头为 %s',
  '%s of %s': '%[2]s 的 %[1]s',
  'letters are possible, 100 %% of them': '全部 100 %% 可用字母',
  'group %s: ': '分组 %s：',
  'not a whole export of a log': '不是完整的日志导出',
  '%w: it is cut off': '%s：不完整',
  '%w: frame %d is damaged': '%s：第 %d 帧已损坏',
  'the cloud %s (0x%02x)': '云端%s（0x%s）',
  'does not allow it (not authorised)': '不允许（未授权）',
  'the values %v': '数值 %v',
  'nobody listens there': '无人监听',
})

test.each([
  ['no answer', '没有应答'],
  ['no answer within 1.5s', '1.5s 内没有应答'],
  ['device press: no answer within 1s', '设备 press：1s 内没有应答'],
  ['meter 0012 on bus://a: no answer', 'bus://a 上的仪表 0012：没有应答'],
  ['2 of 7 points failed, the first is exception 2: illegal data address', '7 个点位中有 2 个失败，第一个是 异常码 2：非法数据地址'],
  ['"it is: \\"no answer\\"" is not an address', '"it is: \\"no answer\\"" 不是地址'],
  ['unknown key; did you mean "unit"; known here: unit, name', '未知的键；是否想写 "unit"；可用：unit, name'],
  ['unknown key; known here: unit', '未知的键；可用：unit'],
  ['the answer begins with 01 83 02', '应答开头为 01 83 02'],
  ['letters are possible, 100 % of them', '全部 100 % 可用字母'],
  ['group fast: no answer', '分组 fast：没有应答'],
  ['not a whole export of a log: it is cut off', '不是完整的日志导出：不完整'],
  ['not a whole export of a log: frame 7 is damaged', '不是完整的日志导出：第 7 帧已损坏'],
  ['none, tls or starttls', 'none、tls 或 starttls'],
  ['did you mean "unit"', '是否想写 "unit"'],
  ['10.0.0.1: the cloud does not allow it (not authorised) (0x87)', '10.0.0.1：云端不允许（未授权）（0x87）'],
])('%s', (english, chinese) => {
  expect(tell(english)).toBe(chinese)
})

test('what is not known stays, and what is known beside it does not', () => {
  expect(tell('something that nobody has translated')).toBe('something that nobody has translated')
  expect(tell('dial 10.0.0.1: no answer')).toBe('dial 10.0.0.1：没有应答')
  expect(tell('a sentence of words that nobody knows')).toBe('a sentence of words that nobody knows')
  expect(tell('no answer; nobody listens there\nno answer')).toBe('没有应答；无人监听\n没有应答')
})

test('what a library said stands in brackets, and what is quoted within Chinese', () => {
  expect(tell('nobody listens there (no answer)')).toBe('无人监听（没有应答）')
  expect(tell('nobody listens there (ECONNREFUSED)')).toBe('无人监听（ECONNREFUSED）')
  expect(tell('线路未打开：device press: no answer。')).toBe('线路未打开：设备 press：没有应答。')
})

test('names and numbers are no sentences', () => {
  expect(tell('')).toBe('')
  expect(tell('12.5')).toBe('12.5')
  expect(tell('压力机')).toBe('压力机')
  expect(tell('voltage of press')).toBe('press 的 voltage')
})

test('values that look like a pattern do no harm', () => {
  expect(tell('device $& (a|b): no answer')).toBe('设备 $& (a|b)：没有应答')
  expect(tell('the values [1 %d $1]')).toBe('数值 [1 %d $1]')
  expect(tell('x'.repeat(100_000))).toHaveLength(100_000)
})

test('hundreds of texts take no time', () => {
  const many: Record<string, string> = {}
  for (let i = 0; i < 2500; i++) many[`the part ${i} of %s does not answer %d times: %w`] = `${i}`
  const slow = translator({ ...many, 'no answer': '没有应答' })
  const begun = performance.now()
  for (let i = 0; i < 500; i++) slow(`the part ${i * 5} of line ${i} does not answer 3 times: no answer`)
  expect(performance.now() - begun).toBeLessThan(2000)
})

test('addresses and topics are values, of however many words', () => {
  const tell = translator({ '%s unit %d': '%s 站号 %d', '%d bytes to %s': '%d 字节，发往 %s' })
  expect(tell('rtu://hall-two unit 9')).toBe('rtu://hall-two 站号 9')
  expect(tell('51 bytes to sluice/test/line-three')).toBe('51 字节，发往 sluice/test/line-three')
  expect(tell('the last unit 9')).toBe('the last unit 9')
})
