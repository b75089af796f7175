package mbus

import "fmt"

// decodeTime takes a date or a time in the form that goes with the size of its data: 2 bytes are
// type G, 3 type J, 4 type F, 6 type I. A meter's clock has no zone, so the text has none either.
func decodeTime(coding byte, data []byte) (number, error) {
	var text string
	var ok bool
	switch coding {
	case 2:
		text, ok = dateText(data[0], data[1], 0)
	case 3:
		text, ok = clockText(data[2]&0x1F, data[1]&0x3F, data[0]&0x3F)
	case 4:
		text, ok = typeF(data)
	case 6:
		text, ok = typeI(data)
	default:
		return number{}, fmt.Errorf("the meter sent % X, which is no form of a date", data)
	}
	switch {
	case ok:
		return number{text: text, isText: true}, nil
	case allAlike(data, 0x00), allAlike(data, 0xFF):
		return number{}, errNotAvailable // no due date is set, or it has never happened
	case coding >= 4 && text == invalidTime:
		return number{}, fmt.Errorf("the meter marks its time % X as invalid", data)
	}
	return number{}, fmt.Errorf("the meter sent % X, which is no single date", data) // such as "every month on the first"
}

const invalidTime = "invalid"

// typeF: minute and the mark of an invalid time, hour and century, date.
func typeF(data []byte) (string, bool) {
	if data[0]&0x80 != 0 {
		return invalidTime, false
	}
	date, ok := dateText(data[2], data[3], int(data[1]>>5&3))
	clock, valid := clockText(data[1]&0x1F, data[0]&0x3F, 0)
	return date + "T" + clock, ok && valid
}

// typeI: second, minute with the same mark, hour, date.
func typeI(data []byte) (string, bool) {
	if data[1]&0x80 != 0 {
		return invalidTime, false
	}
	date, ok := dateText(data[3], data[4], 0)
	clock, valid := clockText(data[2]&0x1F, data[1]&0x3F, data[0]&0x3F)
	return date + "T" + clock, ok && valid
}

// dateText is type G: the day with three bits of the year, the month with the other four. The
// centuries count from 1900, but meters that know none have years up to 80 in this one.
func dateText(low, high byte, centuries int) (string, bool) {
	day, month, year := int(low&0x1F), int(high&0x0F), int(low>>5|high>>4<<3)
	switch {
	case day < 1 || month < 1 || month > 12 || year > 99 || day > daysIn(month):
		return "", false
	case centuries == 0 && year <= 80:
		year += 2000
	default:
		year += 1900 + 100*centuries
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, month, day), true
}

// daysIn allows 29 February every year: a meter's calendar is its own.
func daysIn(month int) int {
	switch month {
	case 2:
		return 29
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func clockText(hour, minute, second byte) (string, bool) {
	return fmt.Sprintf("%02d:%02d:%02d", hour, minute, second), hour < 24 && minute < 60 && second < 60
}

func allAlike(data []byte, c byte) bool {
	for _, b := range data {
		if b != c {
			return false
		}
	}
	return true
}
