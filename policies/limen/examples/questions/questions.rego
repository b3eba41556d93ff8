# METADATA
# title: Example questions
# description: One question for each stage and purpose that the rules permit; tests bend one field at a time.
# scope: package
package limen.examples.questions

asked := {
	"schema": "limen.question/1",
	"stage": "ask",
	"purpose": "SEC.WATCH",
	"operation": "hit",
	"legal_basis": "bilateral agreement",
	"list": "PERSONS",
	"key_types": ["doc/1", "met2_dob/1", "name_year/1"],
	"class_size": 8,
	"asker": "UTO",
	"owner": "XOM",
	"agency": "UBG",
	"role": "border.frontline",
	"has_case": true,
	"signers": 0,
	"issuers": [],
	"time_ns": 1700000000000000000,
}

watch_ask := asked

watch_answer := object.union(asked, {"stage": "answer", "asker": "XOM", "owner": "UTO", "agency": "OMB"})

publishing := {
	"stage": "publish",
	"asker": "XOM",
	"owner": "UTO",
	"agency": "UBG",
	"role": "operator",
	"legal_basis": "",
	"key_types": [],
	"class_size": 0,
	"has_case": false,
}

watch_publish := object.union(asked, publishing)

listing := {
	"stage": "list",
	"operation": "enter",
	"legal_basis": "national immigration act",
	"asker": "UTO",
	"owner": "UTO",
	"role": "list.officer",
	"class_size": 0,
	"signers": 2,
}

watch_list := object.union(asked, listing)

document := {"purpose": "DOC.STATUS", "operation": "status", "list": "DOCUMENTS", "key_types": ["doc/1"]}

status_ask := object.union(watch_ask, document)

status_answer := object.union(watch_answer, document)

status_publish := object.union(object.union(asked, document), publishing)

status_list := object.union(object.union(asked, document), object.union(listing, {"issuers": ["UTO"]}))

flight_ask := object.union(watch_ask, {"purpose": "API.PRESCREEN", "role": "targeting.centre", "class_size": 1280})

flight_answer := object.union(watch_answer, {"purpose": "API.PRESCREEN", "role": "targeting.centre", "class_size": 1280})

child := {"purpose": "MISS.CHILD", "key_types": ["doc/1", "met2_dob/1", "met2_year/1", "name_year/1"]}

child_ask := object.union(watch_ask, child)

child_answer := object.union(watch_answer, child)

return := {
	"purpose": "READ.IDENT",
	"operation": "verify",
	"role": "return.unit",
	"key_types": ["doc/1", "name_year/1"],
}

return_ask := object.union(object.union(watch_ask, return), {"signers": 2})

return_answer := object.union(watch_answer, return)

statistic := {
	"purpose": "RISK.IBC",
	"operation": "aggregate",
	"list": "",
	"key_types": [],
	"class_size": 0,
	"role": "analyst.national",
	"has_case": false,
}

risk_ask := object.union(watch_ask, statistic)

risk_answer := object.union(watch_answer, statistic)

# A state's own analyst asks its own node: the one question that a state puts to itself, besides listing.
risk_home := object.union(risk_answer, {"asker": "UTO", "owner": "UTO", "agency": "UBG", "legal_basis": "national immigration act"})

all := {
	"flight_ask": flight_ask,
	"flight_answer": flight_answer,
	"child_ask": child_ask,
	"child_answer": child_answer,
	"return_ask": return_ask,
	"return_answer": return_answer,
	"risk_ask": risk_ask,
	"risk_answer": risk_answer,
	"risk_home": risk_home,
	"watch_ask": watch_ask,
	"watch_answer": watch_answer,
	"watch_publish": watch_publish,
	"watch_list": watch_list,
	"status_ask": status_ask,
	"status_answer": status_answer,
	"status_publish": status_publish,
	"status_list": status_list,
}
